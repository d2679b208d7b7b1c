"""With the keyboard alone, and with JavaScript switched off: what has to be done can be done."""

import re
import time
from collections.abc import Iterator

import page_audit
import pytest
from browsing import Browser as Reader
from in_chromium import PHONE, Person, mark, marked
from mail_server import MailServer
from playwright.sync_api import Browser, Page, expect
from ringing import Bell, rows
from running_tocsin import Tocsin

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

EMAIL, PASSWORD = "ana@example.org", "a sentence to remember"
PLAYBOOKS = """
version: 1
playbooks:
  ring:
    name: Wake whoever is on call
    mode: act
    triggers: [{on: incident.opened, when: 'incident.severity == "critical"'}]
    steps:
      - {id: ring, page: {policy: default, message: "{{ incident.title }}"}}
  agree:
    name: Ask before anything
    mode: act
    triggers: [{on: incident.opened, when: 'incident.severity == "medium"'}]
    steps:
      - {id: agree, approve: {ask: "Shall we call the police?"}}
"""
FOCUS = """() => {
  const e = document.activeElement, s = getComputedStyle(e);
  const shown = e.matches(":focus-visible")
    && ((s.outlineStyle !== "none" && parseFloat(s.outlineWidth) > 0) || s.boxShadow !== "none");
  return [e.tagName.toLowerCase(), e.className, e.textContent.trim(), shown];
}"""


@pytest.fixture(scope="module")
def mail() -> Iterator[MailServer]:
    """Where pages are sent."""
    server = MailServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def paged(tmp_path_factory: pytest.TempPathFactory, mail: MailServer) -> Iterator[Tocsin]:
    """An installation with one person, two incidents, and a page in her mail for each."""
    folder = tmp_path_factory.mktemp("paged")
    (folder / "ring.yaml").write_text(PLAYBOOKS, encoding="utf-8")
    tocsin = Tocsin(
        folder / "data", TOCSIN_SMTP_URL=mail.url, TOCSIN_PLAYBOOKS=str(folder / "ring.yaml")
    )
    tocsin.run("init", "--email", EMAIL, "--name", "Ana", "--password", PASSWORD)
    tocsin.start()
    bell = Bell(tocsin)
    with tocsin.client() as tool:
        for serial in (1, 2):
            alert = {"title": f"Beacon from finance-{serial}", "host": f"finance-{serial}", "category": "intrusion"}
            assert bell.ring(tool, severity="critical", **alert).status_code == 202
            mail.wait_for(serial)
    yield tocsin
    tocsin.kill()


def _links(mail: MailServer) -> list[str]:
    """The acknowledge links of all mails, oldest first."""
    bodies = [message.get_body(("plain",)) for message in mail.messages]
    found = [re.search(r"https?://\S+?(/a/[^\s>]+)", body.get_content()) for body in bodies if body]
    return [link[1] for link in found if link]


def _tab_to(page: Page, what: str, most: int = 60) -> int:
    """Press Tab until an element with this text has the focus, visibly at each stop; returns how often."""
    for pressed in range(1, most + 1):
        page.keyboard.press("Tab")
        tag, classes, text, shown = page.evaluate(FOCUS)
        assert shown, f"nobody sees the focus on {tag}.{classes} {text[:60]!r}"
        if text == what:
            return pressed
    raise AssertionError(f"Tab does not reach {what!r}")


def test_the_palette_goes_opens_does_and_explains(chromium: Browser, paged: Tocsin) -> None:
    ana = Person(chromium, paged)
    page = ana.page
    ana.sign_in(EMAIL, PASSWORD)
    ask = page.get_by_role("combobox", name="A page, an incident")
    page.keyboard.press("Control+k")
    expect(ask).to_be_focused()
    page.keyboard.type("ignor")
    expect(page.locator("#palette-list [aria-selected=true]")).to_contain_text("Ignored")
    assert page_audit.broken_rules(page) == []
    page.keyboard.press("Enter")
    page.wait_for_url("/ignored")
    (key,) = rows(paged, "SELECT key FROM incidents ORDER BY key LIMIT 1")[0]
    page.keyboard.press("Control+k")
    page.keyboard.type(key)
    page.keyboard.press("Enter")
    page.wait_for_url(f"/incidents/{key}")
    page.keyboard.press("?")
    help_ = page.get_by_role("dialog", name="Keys")
    expect(help_.get_by_text("On this page")).to_be_visible()
    expect(help_.get_by_role("row", name="w Watch it (w)")).to_be_visible()
    assert page_audit.broken_rules(page) == []
    page.keyboard.press("Escape")
    expect(help_).to_be_hidden()
    page.keyboard.press("Control+k")
    page.keyboard.type("watch it")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").get_by_text("You are told in your inbox")).to_be_visible()
    page.wait_for_load_state()  # a page hears keys once its scripts have run
    page.keyboard.press("Control+k")
    page.keyboard.type("finance-2")
    page.keyboard.press("ArrowUp")
    expect(page.locator("#palette-list [aria-selected=true]")).to_contain_text("Search for “finance-2”")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/search\?q=finance-2"))
    ana.close()


def test_the_keyboard_alone_finds_takes_and_notes(chromium: Browser, paged: Tocsin) -> None:
    ana = Person(chromium, paged)
    page = ana.page
    page.goto("/login")
    page.get_by_label("E-mail").focus()
    page.keyboard.type(EMAIL)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("/")

    assert _tab_to(page, "Skip to content") == 1
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"

    page.keyboard.press("/")
    expect(page.get_by_label("Search everything")).to_be_focused()
    page.keyboard.type("finance-1")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search*")
    expect(page.locator("main")).to_contain_text("Beacon from finance-1")

    page.keyboard.press("g")
    page.keyboard.press("i")
    page.wait_for_url("**/incidents")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    page.wait_for_url("**/incidents/INC-*")

    page.keyboard.press("Tab")  # the skip link, then past the rail
    page.keyboard.press("Enter")
    assert _tab_to(page, "Take it") <= 3, "the primary action is not among the first things in the page"
    page.keyboard.press("Enter")
    expect(page.locator(".case-facts")).to_contain_text("Ana")

    page.wait_for_load_state()
    mark(page)
    page.keyboard.press("n")
    expect(page.get_by_label("Note", exact=True)).to_be_focused()
    page.keyboard.type("Written without a mouse")
    assert _tab_to(page, "Add note") == 1
    page.keyboard.press("Enter")
    expect(page.locator("#story")).to_contain_text("Written without a mouse")
    assert marked(page), "the note loaded the page again"
    expect(page.locator("#story")).to_be_focused()  # the button is gone with the part that was replaced

    change = page.locator("summary", has_text="Change")
    change.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    expect(change).to_be_focused()

    people = page.locator("#story").get_by_role("link", name="People")
    people.focus()
    told = ana.context.request.post(
        f"{page.url}/comment", form={"csrf": page.locator("[name=csrf]").first.input_value(), "body": "Came in meanwhile"}
    )
    assert told.ok
    expect(page.locator("#story")).to_contain_text("Came in meanwhile")
    expect(people).to_be_focused()
    expect(page.locator("#heard")).to_have_text("Story: 1 new or changed")
    ana.close()


def test_the_keyboard_alone_opens_judges_gives_and_looks_before_it_agrees(chromium: Browser, paged: Tocsin) -> None:
    ana = Person(chromium, paged)
    page = ana.page
    ana.sign_in(EMAIL, PASSWORD)
    page.goto("/incidents")
    page.wait_for_load_state()
    began = time.monotonic()
    page.keyboard.press("c")
    page.wait_for_url("/incidents/new")
    expect(page.get_by_label("Title")).to_be_focused()
    page.keyboard.type("Phone call: odd mail from 203.0.113.77 at the front desk", delay=30)  # ms a key: a quick typist
    page.keyboard.press("Enter")
    page.wait_for_url("**/incidents/INC-*")
    assert time.monotonic() - began < 20, "opening an incident takes longer than the call does"
    page.wait_for_load_state()
    case = page.url

    page.keyboard.press("v")
    expect(page.get_by_label("Value", exact=True)).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.type("sus")
    page.keyboard.press("Tab")
    page.keyboard.type("odd hours")
    page.keyboard.press("Enter")
    expect(page.locator("#observables .obs-done")).to_contain_text("suspicious")
    page.wait_for_load_state()

    page.keyboard.press("d")
    page.wait_for_url("**/findings?new=1*")
    page.wait_for_load_state()
    expect(page.get_by_label("What did the attacker do?")).to_be_focused()
    page.keyboard.type("Sent a mail to the front desk")
    page.keyboard.press("Tab")
    page.keyboard.type("2026-01-02 03:04")
    page.keyboard.press("Enter")
    expect(page.locator(".finding-list")).to_contain_text("Sent a mail to the front desk")

    page.goto(case)
    expect(page.get_by_role("link", name="Look (p)")).to_be_visible()
    page.wait_for_load_state()
    page.keyboard.press("a")
    expect(page.get_by_label("Lead", exact=True)).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_label("Lead", exact=True)).to_be_hidden()
    page.keyboard.press("p")
    page.wait_for_url("**/approvals/*")
    page.wait_for_load_state()
    page.keyboard.press("p")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Shall we call the police?")
    assert rows(paged, "SELECT count(*) FROM approval_votes") == [(0,)], "no key agrees"
    ana.close()


def test_a_page_is_acknowledged_and_an_incident_read_without_script(
    chromium: Browser, paged: Tocsin, mail: MailServer
) -> None:
    ana = Person(chromium, paged, java_script_enabled=False, viewport=PHONE)
    page = ana.page
    link = _links(mail)[1]
    page.goto(link)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Beacon")
    assert rows(paged, "SELECT count(*) FROM pages WHERE acknowledged_at IS NOT NULL") == [(0,)], "looking acknowledged"
    button = page.get_by_role("button", name="Acknowledge")
    box = button.bounding_box()
    assert box is not None
    assert box["width"] > 300, "a thumb does not find it"
    assert box["height"] >= 44, "a thumb does not find it"
    button.click()
    expect(page.locator("main")).to_contain_text("You have it")
    assert rows(paged, "SELECT count(*) FROM pages WHERE acknowledged_at IS NOT NULL") == [(1,)]

    ana.sign_in(EMAIL, PASSWORD)
    page.goto("/incidents")
    page.get_by_role("link", name="Beacon from finance-2").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Beacon from finance-2")
    expect(page.locator("#story")).to_contain_text("opened the incident")
    page.get_by_label("Note", exact=True).fill("Read on the train")
    page.get_by_role("button", name="Add note").click()
    expect(page.locator("#story")).to_contain_text("Read on the train")
    ana.close()


def test_the_pages_before_signing_in_pass_axe(chromium: Browser, paged: Tocsin, mail: MailServer) -> None:
    ana = Reader(paged)
    ana.sign_in(EMAIL, PASSWORD)
    users = ana.open("/settings/users")
    added = ana.submit(users, r"/settings/users$", email="luis@example.org", name="Luis", roles=["responder"])
    start = re.search(r"/start/[^\s\"<]+", added.html)
    assert start, added.text
    ana.client.close()
    for theme in ("light", "dark"):
        stranger = Person(chromium, paged, viewport=PHONE, color_scheme=theme, reduced_motion="reduce")
        for address in ("/login", start[0], _links(mail)[0]):
            stranger.page.goto(address)
            assert not page_audit.broken_rules(stranger.page), address
            assert not page_audit.too_wide(stranger.page), address
            assert page_audit.layout_shift(stranger.page) < 0.1
        stranger.close()
