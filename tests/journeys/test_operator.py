"""The operator's journey: start, first password, stop, restart, commands that explain themselves."""

import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from browsing import Browser
from ringing import Bell, count
from running_tocsin import COMMAND, Tocsin

from core import plugins

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_it_starts_in_three_seconds_under_200_megabytes(tocsin: Callable[..., Tocsin]) -> None:
    installation = tocsin()
    installation.run("migrate")
    started = time.monotonic()
    installation.start()
    took = time.monotonic() - started
    process = psutil.Process(installation.pid())
    busy = process.cpu_times()
    # Beside other tests the clock on the wall tells of them; the work that a start is stays the same.
    assert min(took, busy.user + busy.system) < 3
    with installation.client() as client:
        for _ in range(20):
            assert client.get("/login").status_code == 200
    assert process.memory_info().rss < 200e6


def test_the_first_start_prints_a_link_that_sets_the_first_password(tocsin: Callable[..., Tocsin]) -> None:
    running = tocsin().start()
    links = re.findall(r"http\S+/start/\S+", running.log.read_text(encoding="utf-8"))
    assert len(links) == 1
    browser = Browser(running)
    page = browser.open(links[0])
    answer = browser.submit(
        page, "start", name="Ana", password="a long first sentence", again="a long first sentence"
    )
    assert answer.path == "/"
    assert Browser(running).sign_in("admin@localhost", "a long first sentence").path == "/"
    assert browser.client.get(links[0]).status_code >= 400
    running.stop()
    running.log.unlink()
    running.start()
    assert "/start/" not in running.log.read_text(encoding="utf-8")


def test_init_makes_an_administrator_without_the_link(running: Tocsin) -> None:
    running.run("init", "--email", "ana@example.org", "--password", "a sentence to remember")
    assert Browser(running).sign_in("ana@example.org", "a sentence to remember").path == "/"


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
    assert installation.json("migrate") == first


def test_every_command_explains_itself(running: Tocsin) -> None:
    listed = running.run("--help")
    for name in plugins.module_names("cli.commands"):
        command = name.replace("_", "-")
        assert command in listed
        said = running.run(command, "--help")
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
