"""People with accounts at a running Tocsin, made the way an administrator makes them: through its pages."""

import re

from browsing import Browser
from running_tocsin import Tocsin

PASSWORD = "a sentence to remember"
ADMIN = "ana@example.org"


def installed(tocsin: Tocsin) -> Browser:
    """Set up and start an installation; returns the browser of Ana, who administers and responds."""
    tocsin.run("init", "--email", ADMIN, "--name", "Ana", "--password", PASSWORD)
    tocsin.start()
    ana = Browser(tocsin)
    ana.sign_in(ADMIN, PASSWORD)
    return ana


def joined(tocsin: Tocsin, ana: Browser, name: str, role: str) -> Browser:
    """Ana adds a person and hands over the link; the person sets a password with it and is signed in."""
    page = ana.open("/settings/users")
    email = f"{name.lower()}@example.org"
    added = ana.submit(page, r"/settings/users$", email=email, name=name, role=[role])
    link = re.search(r"https?://[^\s\"<]+/start/[^\s\"<]+", added.html)
    assert link, f"no link for {name}: {added.text[:500]}"
    browser = Browser(tocsin)
    path = "/start/" + link[0].rpartition("/start/")[2]
    answer = browser.submit(browser.open(path), "start", password=PASSWORD, again=PASSWORD)
    assert answer.path == "/"
    return browser
