"""What can be measured on a page in a browser: axe's rules, width, layout shift, and what was transferred."""

from functools import cache
from typing import Any

from playwright.sync_api import Page
from tables_ready import ROOT

AXE = ROOT / "tests" / "browser" / "vendor" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]

_RUN = """async (options) => {
  const found = await axe.run(document, options);
  return found.violations.flatMap((rule) => rule.nodes.map((node) =>
    rule.id + " at " + node.target.join(" ") + ": " + (node.any.concat(node.all, node.none)[0] || {message: rule.help}).message
  ));
}"""

_WIDER = """() => {
  const root = document.documentElement;
  if (root.scrollWidth <= root.clientWidth) return [];
  const wide = [...document.querySelectorAll("body *")].filter((e) => {
    if (e.getBoundingClientRect().right <= root.clientWidth + 1) return false;
    for (let p = e.parentElement; p && p !== document.body; p = p.parentElement)
      if (getComputedStyle(p).overflowX !== "visible") return false;
    return true;
  });
  return [root.scrollWidth + " px instead of " + root.clientWidth, ...wide.slice(-3).map((e) =>
    e.tagName.toLowerCase() + "." + e.className + " " + e.textContent.trim().slice(0, 40))];
}"""

_SHIFT = """() => new Promise((done) => {
  let sum = 0;
  new PerformanceObserver((list) => { for (const e of list.getEntries()) if (!e.hadRecentInput) sum += e.value; })
    .observe({type: "layout-shift", buffered: true});
  setTimeout(() => done(sum), 60);
})"""

_TRANSFERRED = """() => {
  const all = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
  return Object.fromEntries(all.map((e) => [new URL(e.name).pathname, e.transferSize]));
}"""


@cache
def _axe() -> str:
    return AXE.read_text(encoding="utf-8")


def broken_rules(page: Page, *rules: str) -> list[str]:
    """What axe finds on the page as it is shown now: all WCAG 2.2 A and AA rules, or only the ones named."""
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(_axe())  # not a script of the page: its policy holds for what it loads itself
    only: dict[str, Any] = (
        {"type": "rule", "values": list(rules)} if rules else {"type": "tag", "values": RULES}
    )
    found: list[str] = page.evaluate(_RUN, {"runOnly": only, "resultTypes": ["violations"]})
    return found


def too_wide(page: Page) -> list[str]:
    """Empty when nothing sticks out sideways; else by how much, and what."""
    found: list[str] = page.evaluate(_WIDER)
    return found


def layout_shift(page: Page) -> float:
    """The sum of what has moved by itself since the page was opened (Cumulative Layout Shift, 0 is still)."""
    return float(page.evaluate(_SHIFT))


def transferred(page: Page) -> dict[str, int]:
    """Bytes over the wire for the page and each thing it loaded, headers included; 0 is from the cache."""
    sizes: dict[str, int] = page.evaluate(_TRANSFERRED)
    return sizes
