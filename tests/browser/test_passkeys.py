"""A passkey in a real Chromium with a virtual authenticator: all it takes to begin and to sign in, a second factor beside a password, asked for again before what matters."""

import re
import sqlite3
from collections.abc import Callable

import page_audit
import pytest
from free_ports import wait_until
from in_chromium import Person
from playwright.sync_api import Browser, Page, expect
from running_tocsin import Tocsin

PASSWORD = "a sentence to remember"
AUTHENTICATOR = {
    "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
    "isUserVerified": True, "automaticPresenceSimulation": True,
}  # fmt: skip

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def with_authenticator(page: Page) -> None:
    """Plug a virtual fingerprint reader into the browser."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})


def grow_old(tocsin: Tocsin) -> None:
    """What was shown as second factor was shown an hour ago."""
    with sqlite3.connect(tocsin.data / "tocsin.db", timeout=20) as database:
        database.execute("UPDATE sessions SET proved_at = proved_at - 3600000000 WHERE proved_at IS NOT NULL")
    database.close()


def sound(page: Page) -> None:
    """The accessibility rules find nothing on the page, light or dark, wide or narrow."""
    page.wait_for_load_state()
    for theme in ("light", "dark"):
        page_audit.paint(page, theme)
        assert not page_audit.broken_rules(page)
        assert not page_audit.too_wide(page)


def sign_out(page: Page) -> None:
    """By the menu of the person."""
    page.locator("summary[aria-label$='You']").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("/login*")


EMPTY = (
    "/", "/incidents", "/alerts", "/ignored", "/playbooks", "/oncall", "/oncall/policies", "/oncall/channels", "/pages", "/inbox",
    "/reports", "/calls", "/countermeasures", "/follow-ups", "/quarantine", "/profile", "/settings/sources", "/connectors",
    "/settings/guardrails", "/settings/changes", "/settings/mail", "/settings/tokens", "/settings/installation",
)  # fmt: skip


def nothing_is_just_empty(page: Page) -> None:
    """Whoever is here alone, before anything has rung: each thing that is empty says what to do about it."""
    seen = 0
    for path in EMPTY:
        page.goto(path)
        assert page.locator("h1").count() == 1, path
        for empty in page.locator(".nothing").all():
            seen += 1
            assert empty.locator(".nothing-text, a.btn, form").count(), f"{path}: {empty.inner_text()}"
    assert seen >= 12, "there is less here that is empty than a first user meets"
    page.goto("/")


def first_link(chromium: Browser, running: Tocsin) -> str:
    """The link that the first start prints; the same page at this machine's number says why it makes no passkey, and where."""
    printed = re.compile(r"set your password at (\S+)")
    wait_until(lambda: printed.search(running.log.read_text(encoding="utf-8")), what="the first link")
    link = printed.findall(running.log.read_text(encoding="utf-8"))[0]
    assert link.startswith(f"http://localhost:{running.port}/start/")
    stranger = Person(chromium, running)
    stranger.page.goto(link.replace("localhost", "127.0.0.1"))
    expect(stranger.page.get_by_role("button", name="Make a passkey")).to_be_disabled()
    said = stranger.page.locator("[data-passkey-said]")
    expect(said).to_contain_text(f"only at http://localhost:{running.port}: open Tocsin there")
    stranger.close()
    return link


def test_a_passkey_is_all_it_takes_from_the_first_start_on(chromium: Browser, tocsin: Callable[..., Tocsin]) -> None:
    running = tocsin().start()
    link = first_link(chromium, running)
    running.url = f"http://localhost:{running.port}"
    ana = Person(chromium, running, reduced_motion="reduce")
    page = ana.page
    with_authenticator(page)
    page.goto(link)
    sound(page)
    page.get_by_label("Your name").fill("Ana")
    page.get_by_label("E-mail").fill("ana@example.org")
    page.get_by_role("button", name="Make a passkey").click()
    page.wait_for_url("/settings/yours*")
    page.get_by_role("link", name="Not now").click()
    page.wait_for_url("/profile/factor")
    expect(page.locator("main")).to_contain_text("You sign in with a passkey alone.")
    sound(page)
    page.get_by_role("button", name="Remove").click()
    expect(page.locator("main")).to_contain_text("It is all that you sign in with")
    ana.refused(409)
    sign_out(page)
    assert page.goto(link).status == 422, "the link has been used"  # type: ignore[union-attr]  # a page was loaded
    ana.refused(422)
    page.goto("/login")
    sound(page)
    page.get_by_role("button", name="Use a passkey instead").click()
    page.wait_for_url("/")
    nothing_is_just_empty(page)

    page.goto("/profile")
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_label("The same again").fill(PASSWORD)
    page.get_by_role("button", name="Set a password").click()
    expect(page.locator("main")).to_contain_text("The new password is in force")
    page.goto("/profile/factor")
    page.get_by_role("button", name="Set up a passkey").click()
    expect(page.get_by_role("link", name="Cancel")).to_be_visible()
    sound(page)
    page.get_by_role("link", name="Cancel").click()
    page.wait_for_url("/profile/factor")
    page.get_by_role("button", name="Make new ones").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Keep these recovery codes")
    sound(page)
    page.get_by_role("link", name="I have kept them").click()
    page.wait_for_url("/profile/factor")

    sign_out(page)
    ana.begin_to_sign_in("ana@example.org", PASSWORD)
    expect(page.get_by_role("button", name="Use your passkey")).to_be_visible()
    sound(page)
    page.get_by_role("button", name="Use your passkey").click()
    page.wait_for_url("/")

    page.goto("/settings/guardrails")
    page.get_by_label("Reason").first.fill("a drill")
    page.get_by_role("button", name="Hold everything").click()
    expect(page.locator(".held")).to_contain_text("a drill")
    grow_old(running)
    page.get_by_role("button", name="Let automation act again").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Show your second factor")
    sound(page)
    ana.refused(403)
    page.get_by_role("button", name="Use your passkey").click()
    expect(page.locator(".held")).to_have_count(0)
    expect(page.locator("main")).to_contain_text("Automation may act again")
    ana.close()
