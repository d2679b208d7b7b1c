"""A person at a real Chromium: fresh profile, nothing fetched from elsewhere, and everything that goes wrong is noted."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    expect,
    sync_playwright,
)
from free_ports import PATIENT, wait_until
from running_tocsin import Tocsin

expect.set_options(timeout=PATIENT * 1000)

CHROMIUM = shutil.which("chromium") or ""
INSTALL = "This test needs Chromium: apt-get install chromium (make test does so when run as root)."
QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
SMALL_PHONE = {"width": 360, "height": 740}


@contextmanager
def chromium() -> Iterator[Browser]:
    """One Chromium with a fresh profile, headless."""
    if not CHROMIUM:
        raise RuntimeError(INSTALL)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET, timeout=PATIENT * 1000)
        try:
            yield browser
        finally:
            browser.close()


class Person:
    """One person's browser at one installation; `trouble` is what a page should never do."""

    def __init__(self, browser: Browser, tocsin: Tocsin, **options: Any) -> None:
        self.tocsin = tocsin
        self.trouble: list[str] = []
        self.context: BrowserContext = browser.new_context(
            base_url=tocsin.url,
            locale="en-GB",
            **{"viewport": DESKTOP, "timezone_id": "Europe/Madrid", **options},
        )
        self.context.set_default_timeout(PATIENT * 1000)
        self.context.on("request", self._requested)
        self.context.on("response", self._answered)
        self.context.on("console", self._console)
        self.context.on("weberror", lambda error: self.trouble.append(f"error in a script: {error.error}"))
        self.page = self.tab()

    def tab(self) -> Page:
        """Another tab of the same browser."""
        page = self.context.new_page()
        page.on("dialog", self._dialog)
        return page

    def begin_to_sign_in(self, email: str, password: str) -> None:
        """The first step of it: the password."""
        self.page.goto("/login")
        self.page.get_by_label("E-mail").fill(email)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()

    def sign_in(self, email: str, password: str) -> None:
        """Through the form, as everybody who has no second factor."""
        self.begin_to_sign_in(email, password)
        self.page.wait_for_url(lambda address: "/login" not in address)

    def refused(self, status: int) -> None:
        """A page that answers so is what was asked for: wait until the browser has noted it, and forget the note."""
        noted = f"the server responded with a status of {status} "

        def arrived() -> list[str]:
            self.page.wait_for_timeout(20)
            return [one for one in self.trouble if noted in one]

        wait_until(arrived, what=f"the note of a {status}")
        self.trouble = [one for one in self.trouble if noted not in one]

    def close(self) -> None:
        """Close every tab; fails when anything went wrong in one of them."""
        self.context.close()
        assert not self.trouble, self.trouble

    def _requested(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme in ("data", "blob", "about"):
            return
        if f"{address.scheme}://{address.netloc}" != self.tocsin.url:
            self.trouble.append(f"asked somebody else: {request.url}")

    def _answered(self, response: Response) -> None:
        if response.status >= 500:
            self.trouble.append(f"{response.status} for {response.request.method} {response.url}")

    def _console(self, message: ConsoleMessage) -> None:
        # The policy's refusals are console errors too.
        if message.type == "error":
            self.trouble.append(f"console on {message.page.url if message.page else '?'}: {message.text}")

    def _dialog(self, dialog: Any) -> None:
        self.trouble.append(f"a dialog: {dialog.message}")
        dialog.dismiss()


def mark(page: Page) -> None:
    """Leave something in the page that a reload would lose."""
    page.wait_for_load_state()
    page.evaluate("document.documentElement.marked = true")


def marked(page: Page) -> bool:
    """Whether the page is still the one that was marked: it has not been loaded again."""
    return bool(page.evaluate("document.documentElement.marked === true"))
