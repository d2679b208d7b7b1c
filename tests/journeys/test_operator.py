"""The operator's journey: start, first password, stop, restart, commands that explain themselves."""

import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import click
import psutil
import pytest
from browsing import Browser
from click.testing import CliRunner
from mail_server import MailServer
from ringing import Bell, count
from running_tocsin import COMMAND, Tocsin

from cli import main as program
from core import plugins

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.mark.alone
def test_it_starts_in_three_seconds_under_200_megabytes(tocsin: Callable[..., Tocsin]) -> None:
    installation = tocsin()  # an empty data directory: it migrates, publishes its playbooks, makes its first user
    started = time.monotonic()
    installation.start()
    assert time.monotonic() - started < 3
    with installation.client() as client:
        for _ in range(20):
            assert client.get("/login").status_code == 200
    assert psutil.Process(installation.pid()).memory_info().rss < 200e6


def test_on_the_first_start_the_administrator_says_who_they_are(
    tocsin: Callable[..., Tocsin], smtp_server: MailServer
) -> None:
    running = tocsin(TOCSIN_SMTP_URL=smtp_server.url).start()
    links = re.findall(r"http\S+/start/\S+", running.log.read_text(encoding="utf-8"))
    assert len(links) == 1
    running.url = links[0].partition("/start/")[0]
    assert running.url == f"http://localhost:{running.port}", "where a browser can make a passkey"
    browser = Browser(running)
    page = browser.open(links[0])
    assert "pages are sent there" in page.text
    chosen = {"name": "Ana", "password": "a long first sentence", "again": "a long first sentence"}
    refused = browser.submit(page, "start", status=422, **chosen)
    assert "is not an e-mail address" in refused.text
    asked = browser.submit(refused, "start", email="ana@example.org", **chosen)
    assert asked.headings == ["What is yours?"]  # the first administrator alone is asked
    told = browser.submit(asked, "yours", networks="203.0.113.0/24", people="ana@example.org")
    assert told.path == "/profile/factor"
    assert "Tocsin will never act against them" in told.text
    assert "203.0.113.0/24" in browser.open("/settings/guardrails").text
    assert Browser(running).sign_in("ana@example.org", "a long first sentence").path == "/"
    assert browser.client.get(links[0]).status_code >= 400
    with running.client() as client:
        Bell(running).ring(client, severity="critical", title="Malware on the till", category="malware")
    assert [mail["X-Envelope-To"] for mail in smtp_server.wait_for(1)] == ["ana@example.org"]
    moved = browser.submit(
        browser.open("/profile"), "/profile/email", email="ana@new.example", present="a long first sentence"
    )
    assert "ana@new.example" in moved.text
    assert Browser(running).sign_in("ana@new.example", "a long first sentence").path == "/"
    told = smtp_server.wait_for(2)[1]
    assert (told["X-Envelope-To"], "address in Tocsin" in str(told["Subject"])) == ("ana@example.org", True)
    running.stop()
    running.log.unlink()
    running.start()
    assert "/start/" not in running.log.read_text(encoding="utf-8")


def test_init_makes_an_administrator_without_the_link(running: Tocsin) -> None:
    running.run("init", "--email", "ana@example.org", "--password", "a sentence to remember")
    assert Browser(running).sign_in("ana@example.org", "a sentence to remember").path == "/"
    assert count(running, "SELECT count(*) FROM users") == 1  # the first start's placeholder became Ana
    assert count(running, "SELECT count(*) FROM users WHERE email = 'ana@example.org' AND name = 'ana'") == 1


def test_it_stops_in_five_seconds_and_goes_on_where_it_was(tocsin: Callable[..., Tocsin]) -> None:
    running = tocsin().start()
    bell = Bell(running)
    with running.client() as client:
        for serial in range(50):
            assert bell.ring(client, id=f"a{serial}").status_code == 202
    assert running.stop() < 5
    running.start()
    with running.client() as client:
        assert bell.ring(client, id="after").status_code == 202
    assert running.stop() < 5
    assert count(running, "SELECT count(*) FROM deliveries") == 51


def test_migrating_twice_is_harmless_and_a_wrong_schema_is_refused(tocsin: Callable[..., Tocsin]) -> None:
    installation = tocsin()
    first = installation.json("migrate")
    assert first["current"]
    assert first["done"]
    assert installation.json("migrate") == {**first, "done": []}


def test_every_command_explains_itself(running: Tocsin) -> None:
    listed = running.run("--help")
    for name in plugins.module_names("cli.commands"):
        command = name.replace("_", "-")
        told = program.tocsin.get_command(click.Context(program.tocsin), command)
        assert told is not None
        assert f"{command} {told.get_short_help_str(60)[:40]}" in " ".join(listed.split())
        if command == "tail":  # the very program that other machines get
            said = running.run(command, "--help")
        else:
            said = CliRunner().invoke(program.tocsin, [command, "--help"]).output
        assert len(said) > 120, f"tocsin {command} --help says little: {said}"


def test_mistakes_are_answered_with_a_sentence(running: Tocsin, tmp_path: Path) -> None:
    wrong = tmp_path / "playbooks.yaml"
    wrong.write_text("version: 1\nplaybooks:\n  a:\n    name: A\n    steps:\n      - {id: x, acton: y}\n")
    for arguments in (
        ("source", "add", "x", "--connector", "nonesuch"),
        ("playbooks", "check", str(wrong)),
        ("report", "INC-1999-000001", "--format", "json"),
    ):
        done = subprocess.run(
            [COMMAND, *arguments], env=running.env, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode in (1, 2), arguments
        assert "Traceback" not in done.stderr, done.stderr
        assert len(done.stderr + done.stdout) > 20
    assert re.search(r"playbooks\.yaml:6", subprocess.run(
        [COMMAND, "playbooks", "check", str(wrong)], env=running.env, capture_output=True, text=True, check=False
    ).stdout)  # fmt: skip
