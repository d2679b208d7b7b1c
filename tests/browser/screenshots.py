"""Photographs every page with Chromium: desktop and phone, light and dark, with demo, empty and hostile data.

    python tests/browser/screenshots.py [--out FOLDER] [--only demo,empty,hostile] [--page now]
    python tests/browser/screenshots.py --docs        makes docs/pictures anew, from the demo: what README and the manual show

Prints what a look would not show (an error in the console, a page wider than its screen) and ends with 1 if there was any.
"""

import argparse
import base64
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from in_chromium import CHROMIUM, QUIET  # noqa: E402
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright  # noqa: E402
from ringing import Bell  # noqa: E402
from running_tocsin import Tocsin  # noqa: E402

SIZES = {"desktop": (1440, 900), "phone": (390, 844)}
THEMES = ("light", "dark")
PASSWORD = "a sentence to remember"
HOSTILE = (
    '<script>alert("x")</script> \u202eevil\u202c \u0627\u0644\u0639\u0631\u0628\u064a\u0629 😀 '
    + "long" * 110
)

# What is photographed: a name, and where it is; a second address is a list whose first row is followed.
PAGES = {
    "now": ("/", None),
    "incidents": ("/incidents", None),
    "incident": ("/incidents", r"/incidents/INC-[\d-]+$"),
    "incident-new": ("/incidents/new", None),
    "alerts": ("/alerts", None),
    "alert": ("/alerts?state=all", r"/alerts/[0-9a-f-]{36}$"),
    "ignored": ("/ignored", None),
    "quarantine": ("/quarantine", None),
    "playbooks": ("/playbooks", None),
    "playbook": ("/playbooks", r"/playbooks/[a-z_]+$"),
    "run": ("/playbooks", r"/runs/[0-9a-f-]{36}$"),
    "approval": ("/", r"/approvals/[0-9a-f-]{36}$"),
    "oncall": ("/oncall", None),
    "pages": ("/pages", None),
    "page": ("/pages", r"/pages/[0-9a-f-]{36}$"),
    "inbox": ("/inbox", None),
    "profile": ("/profile", None),
    "reports": ("/reports", None),
    "report": ("/reports", r"/reports/INC-[\d-]+$"),
    "follow-ups": ("/follow-ups", None),
    "journal": ("/journal", None),
    "settings": ("/settings", None),
    "sources": ("/settings/sources", None),
    "source": ("/settings/sources", r"/settings/sources/wazuh$"),
    "connectors": ("/connectors", None),
    "rules": ("/settings/rules", None),
    "guardrails": ("/settings/guardrails", None),
    "yours": ("/settings/yours", None),
    "doctor": ("/doctor", None),
    "users": ("/settings/users", None),
    "tokens": ("/settings/tokens", None),
    "work": ("/settings/work", None),
    "search": ("/search?q=203.0.113.9", None),
    "installation": ("/settings/installation", None),
    "missing": ("/no-such-page", None),
}


# What README and the manual show: a picture's name, what the demo prints before its address (or where a link to it is), its screen.
DOCS = ROOT / "docs" / "pictures"
DESK, PHONE = (1280, 800, 1), (390, 844, 2)
MOST_BYTES = 120_000
# A browser writes WebP itself: a third of a PNG's size for a page.
AS_WEBP = """async (png) => {
  const picture = new Image();
  picture.src = 'data:image/png;base64,' + png;
  await picture.decode();
  const canvas = document.createElement('canvas');
  canvas.width = picture.width; canvas.height = picture.height;
  canvas.getContext('2d').drawImage(picture, 0, 0);
  return canvas.toDataURL('image/webp', 0.88).split(',')[1];
}"""
SHOWN = {
    "now": ("/", None, DESK),
    "incident": (r"contain\s+\S+?(/incidents/INC-[\d-]+)", None, DESK),
    "phone": ("/", r"/pages/[0-9a-f-]{36}$", PHONE),
    "report": (r"a report\s+\S+?(/reports/INC-[\d-]+)", None, DESK),
    "alert": ("/alerts?state=all", r"/alerts/[0-9a-f-]{36}$", DESK),
    "run": ("/playbooks", r"/runs/[0-9a-f-]{36}$", DESK),
    "approval": ("/", r"/approvals/[0-9a-f-]{36}$", DESK),
    "doctor": ("/doctor", None, DESK),
    "reporting": ("/report", None, PHONE),
}
LIGHT_ALONE = ("alert", "run", "approval", "doctor", "reporting")  # the manual shows these in the light alone


@dataclass
class Shoot:
    """One installation being photographed, and what was found wrong."""

    name: str
    url: str
    email: str
    password: str
    problems: list[str] = field(default_factory=list)


@contextmanager
def empty(folder: Path) -> Iterator[Shoot]:
    """The first day: one administrator, nothing else."""
    tocsin = Tocsin(folder / "empty")
    tocsin.run("init", "--email", "ana@example.org", "--password", PASSWORD)
    tocsin.start()
    try:
        yield Shoot("empty", tocsin.url, "ana@example.org", PASSWORD)
    finally:
        tocsin.stop()


@contextmanager
def hostile(folder: Path) -> Iterator[Shoot]:
    """What attackers write: long, right to left, markup."""
    tocsin = Tocsin(folder / "hostile")
    tocsin.run("init", "--email", "ana@example.org", "--password", PASSWORD)
    tocsin.start()
    try:
        bell = Bell(tocsin)
        with tocsin.client() as client:
            for serial, severity in enumerate(("info", "low", "medium", "high", "critical")):
                bell.ring(client, id=f"h{serial}", title=f"{serial} {HOSTILE}", severity=severity, user=HOSTILE[:200],
                          host='"><img src=x onerror=alert(1)>', src_ip="203.0.113.9", rule=HOSTILE)  # fmt: skip
            client.post(bell.url, content=b"<script>alert(1)</script>", headers=bell.headers)
        time.sleep(3)  # until it has been taken in
        yield Shoot("hostile", tocsin.url, "ana@example.org", PASSWORD)
    finally:
        tocsin.stop()


@contextmanager
def demo(folder: Path) -> Iterator[Shoot]:
    """A small team's morning, as `tocsin demo` plays it."""
    tocsin = Tocsin(folder / "demo")
    tocsin.start("demo --fresh")
    try:
        welcome = _until(tocsin, r"sign in as (\S+)\s+password (\S+)", seconds=180)
        _until(tocsin, r"a report|approve or not", seconds=90)
        yield Shoot("demo", tocsin.url, welcome[1], welcome[2])
    finally:
        tocsin.stop()


def _until(tocsin: Tocsin, pattern: str, seconds: float = 30.0) -> re.Match[str]:
    """Wait until the installation has printed something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = re.search(pattern, tocsin.log.read_text(errors="replace")) if tocsin.log.exists() else None
        if found:
            return found
        time.sleep(0.2)
    raise SystemExit(f"it never printed {pattern!r}; see {tocsin.log}")


def signed_in(browser: Browser, shoot: Shoot) -> dict[str, object]:
    """The cookies of somebody who has signed in."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{shoot.url}/login")
    page.fill("#email", shoot.email)
    page.fill("#password", shoot.password)
    page.click("button.btn-primary")
    page.wait_for_url(lambda url: "/login" not in url)
    state = dict(context.storage_state())
    context.close()
    return state


def addresses(context: BrowserContext, shoot: Shoot, only: str | None) -> dict[str, str]:
    """Where each page is here; a list without rows has none."""
    found: dict[str, str] = {}
    page = context.new_page()
    for name, (path, follow) in PAGES.items():
        if only and name != only:
            continue
        if follow is None:
            found[name] = path
            continue
        if target := first_link(page, shoot.url + path, follow):
            found[name] = target
    page.close()
    return found


def first_link(page: Page, address: str, pattern: str) -> str | None:
    """The first link of a page that fits."""
    page.goto(address)
    links = [link.get_attribute("href") or "" for link in page.locator("main a[href]").all()]
    return next((link for link in links if re.search(pattern, link) and not link.endswith("/new")), None)


def photograph(page: Page, shoot: Shoot, path: str, target: Path, *, whole: bool = True) -> None:
    """One picture of one page (the whole of it, on a desktop), and what is wrong with it."""
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    answer = page.goto(shoot.url + path)
    page.wait_for_timeout(250)
    page.screenshot(path=target, full_page=whole and "phone" not in target.name)
    if answer is not None and answer.status >= 500:
        said.append(f"answered {answer.status}")
    if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
        said.append("is wider than its screen")
    expected = "missing" in target.name
    shoot.problems += [f"{target.name}: {one}" for one in said if not (expected and "404" in one)]


def series(browser: Browser, shoot: Shoot, out: Path, only: str | None) -> None:
    """Every page of an installation, in every size and theme."""
    state = signed_in(browser, shoot)
    looking = browser.new_context(storage_state=state)  # type: ignore[arg-type]  # as storage_state() gave it
    where = addresses(looking, shoot, only)
    looking.close()
    for size, (width, height) in SIZES.items():
        for theme in THEMES:
            context = browser.new_context(
                storage_state=state,
                viewport={"width": width, "height": height},
                color_scheme=theme,  # type: ignore[arg-type]  # the same, and "light" or "dark"
            )
            for name, path in where.items():
                page = context.new_page()
                photograph(page, shoot, path, out / f"{shoot.name}-{name}-{size}-{theme}.png")
                page.close()
            context.close()
    print(f"{shoot.name}: {len(where) * len(SIZES) * len(THEMES)} pictures of {len(where)} pages")


def for_docs(browser: Browser, folder: Path) -> list[str]:
    """The pictures of README, from a demo; what was wrong on them."""
    with demo(folder) as shoot:
        said = (folder / "demo" / "processes.log").read_text()
        time.sleep(3)  # until pages and runs have come as far as they go without anybody
        state = signed_in(browser, shoot)
        for name, (where, follow, (width, height, scale)) in SHOWN.items():
            path = where if where.startswith("/") else re.findall(where, said)[0]
            for theme in THEMES[:1] if name in LIGHT_ALONE else THEMES:
                context = browser.new_context(
                    storage_state=None if name == "reporting" else state,  # type: ignore[arg-type]  # a reporter is a stranger
                    viewport={"width": width, "height": height}, device_scale_factor=scale,
                    color_scheme=theme,  # type: ignore[arg-type]  # one of THEMES
                )  # fmt: skip
                page = context.new_page()
                if follow and path == where:
                    path = first_link(page, shoot.url + path, follow) or path
                png = folder / f"{name}-{theme}.png"
                photograph(page, shoot, path, png, whole=False)
                page.goto("about:blank")
                packed = base64.b64decode(page.evaluate(AS_WEBP, base64.b64encode(png.read_bytes()).decode()))
                if len(packed) > MOST_BYTES:
                    shoot.problems.append(f"{name}-{theme}: {len(packed):,} bytes are too many for a manual")
                (DOCS / f"{name}-{theme}.webp").write_bytes(packed)
                context.close()
        return shoot.problems


def main() -> int:
    """Take the pictures; 1 if something was wrong on a page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, default=ROOT / ".run" / "screenshots", help="where the pictures go"
    )
    parser.add_argument("--only", default="demo,empty,hostile", help="which data: demo, empty, hostile")
    parser.add_argument("--page", choices=sorted(PAGES), help="only this page")
    parser.add_argument("--docs", action="store_true", help="make docs/pictures anew, and nothing else")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    problems: list[str] = []
    scenes = {"demo": demo, "empty": empty, "hostile": hostile}
    with tempfile.TemporaryDirectory(prefix="tocsin-") as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        if given.docs:
            problems += for_docs(browser, Path(folder))
        for name in () if given.docs else given.only.split(","):
            with scenes[name](Path(folder)) as shoot:
                series(browser, shoot, given.out, given.page)
                problems += shoot.problems
        browser.close()
    print(f"the pictures are in {DOCS if given.docs else given.out}")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
