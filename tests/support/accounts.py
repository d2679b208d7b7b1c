"""People with accounts at a running Tocsin, made the way an administrator makes them: through its pages."""

import re

import pyotp
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
    assert answer.path == "/profile/factor"
    return browser


def enrolled(browser: Browser) -> pyotp.TOTP:
    """The person sets up an authenticator app at the page, which counts as having shown it; returns the app."""
    page = browser.submit(browser.open("/profile/factor"), "factor/app$", present=PASSWORD)
    secret = re.search(r"<code>([A-Z2-7]{32})</code>", page.html)
    assert secret, page.text[:500]
    app = pyotp.TOTP(secret[1])
    done = browser.submit(page, "factor/app/", code=app.now())
    assert done.headings == ["Keep these recovery codes"]
    return app
