"""The first day with one tool: it is looked for, connected by what the page shows, and its first alert appears by itself."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from free_ports import wait_until
from in_chromium import Person, mark, marked
from playwright.sync_api import Browser, expect
from running_tocsin import Tocsin
from tables_ready import ROOT

from cli.sample_times import moved_to

SAMPLE = ROOT / "connectors" / "samples" / "wazuh" / "ssh-success-after-failures.json"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def ana(chromium: Browser, running: Tocsin) -> Iterator[Person]:
    """The first person here, who has just set her password."""
    link = re.compile(r"set your password at (\S+)")
    wait_until(lambda: link.search(running.log.read_text(encoding="utf-8")), what="the first link")
    person = Person(chromium, running)
    person.page.goto(urlsplit(link.findall(running.log.read_text(encoding="utf-8"))[0]).path)
    person.page.get_by_label("Your name").fill("Ana")
    person.page.get_by_label("E-mail").fill("ana@example.org")
    person.page.get_by_label("Password", exact=True).fill("a sentence to remember")
    person.page.get_by_label("The same password again").fill("a sentence to remember")
    person.page.get_by_role("button", name="Set password").click()
    person.page.wait_for_url(lambda address: "/start" not in address)
    yield person
    person.close()


def test_a_product_is_connected_by_what_the_page_shows(ana: Person, running: Tocsin, tmp_path: Path) -> None:
    page = ana.page
    page.goto("/settings/sources")
    page.get_by_role("searchbox", name="Find a product").fill("wazuh")
    page.get_by_role("button", name="Find", exact=True).click()
    page.locator(".products").get_by_role("link", name="Wazuh").click()
    page.get_by_label("Name").fill("manager")
    page.get_by_role("button", name="Add and show its address").click()
    expect(page.get_by_text("Waiting for the first alert…").last).to_be_visible()
    fetch, install, _watch = page.locator("details.way[open] pre").all_text_contents()
    mark(page)

    subprocess.run(["bash", "-c", fetch], cwd=tmp_path, check=True, timeout=30)
    log = tmp_path / "alerts.json"
    log.write_text(json.dumps(json.loads(moved_to(SAMPLE.read_bytes(), datetime.now(UTC)))) + "\n")
    assert "sudo python3 tocsin_tail.py --install" in install
    sending = install.replace("sudo python3", sys.executable).replace("--install", "--once --state .")
    sending = sending.replace("/var/ossec/logs/alerts/alerts.json", str(log))
    subprocess.run(["bash", "-c", sending], cwd=tmp_path, check=True, timeout=60)

    understood = page.locator("#arrived").filter(has_text="What we understood")
    expect(understood).to_contain_text("sshd: authentication success after multiple failures.")
    expect(understood).to_contain_text("bastion-01")
    expect(understood).to_contain_text("1 alert → 1 incident, 1 would have paged; 100 % from 1 rule.")
    expect(understood.locator("pre")).to_contain_text('"full_log"')
    expect(page.locator(".secret-once").first).to_be_visible()
    assert marked(page), "the page was loaded again, and the secret with it gone"

    page.get_by_role("button", name="End learning now").click()
    expect(page.get_by_text("manager pages like any other source from now on.")).to_be_visible()
    expect(page.get_by_role("button", name="End learning now")).to_have_count(0)
