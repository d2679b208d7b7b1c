"""From the first link to the decision, in a real browser: an alert comes in and the pages move by themselves."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pyotp
import pytest
from free_ports import wait_until
from in_chromium import Person, mark, marked
from playwright.sync_api import Browser, Page, expect
from running_tocsin import Tocsin
from tables_ready import ROOT

from cli.sample_times import moved_to

PASSWORD = "a sentence to remember"
SAMPLE = ROOT / "connectors" / "samples" / "wazuh" / "ssh-success-after-failures.json"
TITLE = "sshd: authentication success after multiple failures."
PHONED = ("Were you signing in?", "Did you approve a sign-in you had not started?", "Do you have a new phone?")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def ana(chromium: Browser, running: Tocsin) -> Iterator[Person]:
    """The first person here: sets her password by the link of the first start, adds an app, and signs in in two steps."""
    person = Person(chromium, running)
    person.page.goto(_first_link(running))
    person.page.get_by_label("Your name").fill("Ana")
    person.page.get_by_label("E-mail").fill("ana@example.org")
    person.page.get_by_label("Password", exact=True).fill(PASSWORD)
    person.page.get_by_label("The same password again").fill(PASSWORD)
    person.page.get_by_role("button", name="Set password").click()
    person.page.wait_for_url("/settings/yours*")
    person.page.get_by_role("link", name="Not now").click()
    person.page.wait_for_url("/profile/factor")
    code = _add_an_app(person.page)
    _sign_out(person.page)
    person.begin_to_sign_in("ana@example.org", PASSWORD)
    expect(person.page.get_by_role("heading", level=1)).to_have_text("Now your second factor")
    person.page.get_by_label("Code from your").fill(code)
    person.page.get_by_role("button", name="Go on").click()
    person.page.wait_for_url("/")
    yield person
    person.close()


def _add_an_app(page: Page) -> str:
    """The app's secret is read off the page as a camera would; returns one of the recovery codes."""
    page.get_by_role("button", name="Set up an app").click()
    expect(page.get_by_role("img", name="QR code")).to_be_visible()
    secret = page.locator(".secret-once code").text_content() or ""
    page.get_by_label("Then type the code").fill(pyotp.TOTP(secret).now())
    page.get_by_role("button", name="Finish").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Keep these recovery codes")
    return page.locator(".codes code").first.text_content() or ""


def _first_link(tocsin: Tocsin) -> str:
    link = re.compile(r"set your password at (\S+)")
    wait_until(lambda: link.search(tocsin.log.read_text(encoding="utf-8")), what="the first link")
    return urlsplit(link.findall(tocsin.log.read_text(encoding="utf-8"))[0]).path


def _sign_out(page: Page) -> None:
    page.locator("summary[aria-label$='You']").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/login*")


def _ring(tocsin: Tocsin) -> None:
    """Post the sample as Wazuh would, with times of now."""
    added = tocsin.json("source", "add", "wazuh", "--no-learning", "--connector", "wazuh")
    body = moved_to(SAMPLE.read_bytes(), datetime.now(UTC))
    with tocsin.client() as tool:
        answer = tool.post("/ingest/wazuh", content=body, headers={"Authorization": f"Bearer {added['token']}"})
    assert answer.status_code == 202, answer.text


def test_an_incident_is_followed_from_its_alert_to_a_decision(ana: Person, running: Tocsin) -> None:
    now = ana.page
    expect(now.get_by_role("heading", level=1)).to_contain_text("Ana")
    mark(now)
    _ring(running)
    appeared = now.locator("table").get_by_role("link", name=TITLE)
    expect(appeared).to_be_visible()
    assert marked(now), "the first page was loaded again"

    appeared.click()
    page = ana.page
    expect(page.get_by_role("heading", level=1)).to_have_text(TITLE)
    watching = ana.tab()  # a colleague's screen: nobody touches it
    watching.goto(page.url)
    story, work = watching.locator("#story"), watching.locator("#work")
    mark(watching)
    page.get_by_role("button", name="Take it").click()
    expect(watching.locator(".case-facts")).to_contain_text("Ana")
    expect(page.locator(".case-facts")).to_contain_text("Ana")  # what is chosen before it has answered would be lost
    page.wait_for_load_state()

    triage = page.locator("article.task").filter(has_text="Did a sign-in of deploy succeed?")
    triage.get_by_label("Did one attempt succeed?").select_option("yes")
    triage.get_by_label("Is there a harmless explanation?").select_option("none")
    told = story.locator("li.entry").count()
    triage.get_by_role("button", name="Done").click()
    expect(work.locator("article.task").filter(has_text="Phone deploy")).to_be_visible()
    expect(work.locator(".work-step.is-wait, .work-step").filter(has_text="Phone the user")).to_be_visible()
    expect(story).to_contain_text("Did a sign-in of deploy succeed?")
    expect(story.locator("li.entry").nth(told)).to_be_visible()

    page.goto(page.url)
    mark(page)
    phone = page.locator("article.task").filter(has_text="Phone deploy")
    said = phone.get_by_label("What did they say?")
    said.select_option("it was not me")
    for question in PHONED:
        tick = phone.get_by_role("button", name=question)
        tick.click()
        expect(tick).to_have_attribute("aria-pressed", "true")
        expect(tick).to_be_focused()
        expect(story).to_contain_text(question)
    assert marked(page), "ticking loaded the page again"
    expect(watching.locator("article.task button.ticked")).to_have_count(len(PHONED))
    expect(said).to_have_value("it was not me")  # begun before the ticks, and not lost to them
    phone.get_by_role("button", name="Done").click()

    look = work.get_by_role("link", name="Look")
    expect(look).to_be_visible()
    page.goto(str(look.get_attribute("href")))
    expect(page.get_by_role("heading", level=1)).to_contain_text("Contain the account deploy?")
    word, approve = page.get_by_label("type APPROVE"), page.get_by_role("button", name="Approve")
    expect(approve).to_be_disabled()
    word.fill("APPROVE")
    page.get_by_label("Why?").fill("He was asleep")
    approve.click()
    expect(page.locator("body")).to_contain_text("This has been decided.")
    expect(story).to_contain_text("He was asleep")
    expect(look).to_have_count(0)
    assert marked(watching), "the colleague's page was loaded again"
