"""What can be measured on a page in a browser: axe's rules, width, how large a target is, layout shift, bytes."""

from functools import cache
from playwright.sync_api import Locator, Page
from tables_ready import ROOT

AXE = ROOT / "tests" / "browser" / "vendor" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]

_RUN = """async ([within, options]) => {
  const found = await axe.run(within || document, options);
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

# A link within a sentence is as large as its words (WCAG 2.5.8 excepts it); a row that opens as a whole is its link's target.
_SMALL = """(least) => {
  const all = [...document.querySelectorAll("a[href], button, summary, select, textarea, input:not([type=hidden])")].filter((e) =>
    e.checkVisibility({visibilityProperty: true}) && !e.closest("[aria-hidden=true], .skip, .visually-hidden"));
  const within = (e) => e.matches("a[href]") && getComputedStyle(e).display === "inline"
    && [...e.parentElement.childNodes].some((n) => n !== e && n.textContent.trim().length > 1);
  const size = (e) => {
    const row = e.closest("[data-row]"), labels = e.matches("[type=checkbox], [type=radio]") ? [...e.labels] : [];
    const boxes = [e, ...labels, ...(row && row.dataset.row === e.getAttribute("href") ? [row] : [])].map((one) => one.getBoundingClientRect());
    const over = (far, near) => Math.max(...boxes.map((b) => b[far])) - Math.min(...boxes.map((b) => b[near]));
    return [over("right", "left"), over("bottom", "top")];
  };
  return all.filter((e) => !within(e)).map((e) => [e, ...size(e)])
    .filter(([e, wide, high]) => wide > 1 && (wide < least - .5 || high < least - .5))
    .map(([e, wide, high]) => e.tagName.toLowerCase() + "." + e.className + " in " + (e.parentElement.className || e.parentElement.tagName)
      + ' "' + (e.innerText || e.name || e.ariaLabel || "").trim().slice(0, 30) + '" is ' + Math.round(wide) + " x " + Math.round(high) + " px");
}"""
THUMB = 44  # px each way: WCAG 2.2, 2.5.5

_TRANSFERRED = """() => {
  const all = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
  return Object.fromEntries(all.map((e) => [new URL(e.name).pathname, e.transferSize]));
}"""


@cache
def _axe() -> str:
    return AXE.read_text(encoding="utf-8")


def broken_rules(page: Page, within: Locator | None = None) -> list[str]:
    """What axe's WCAG 2.2 A and AA rules find on the page as it is shown now, or in one part of it."""
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(_axe())  # not a script of the page: its policy holds for what it loads itself
    options = {"runOnly": {"type": "tag", "values": RULES}, "resultTypes": ["violations"]}
    found: list[str] = page.evaluate(_RUN, [within and within.element_handle(), options])
    return found


def paint(page: Page, theme: str) -> None:
    """Show the page light or dark, as its switch does."""
    page.evaluate("theme => document.documentElement.setAttribute('data-bs-theme', theme)", theme)


def unfold(page: Page) -> None:
    """Show all that folds out in its place, and what appears once a row is ticked; menus lie above others and stay shut."""
    page.evaluate("""() => {
      document.querySelectorAll("details:not(.menu, .more)").forEach((one) => { one.open = true; });
      document.querySelectorAll("[data-bulk]").forEach((bar) => {
        const box = document.querySelector("input[type=checkbox][name='" + bar.dataset.bulk + "']");
        if (box && !box.checked) box.click();
      });
    }""")


def menus(page: Page, frame: bool) -> list[Locator]:
    """The menus that are shown at this width: the page's own, and with frame=True those around every page too."""
    found = page.locator("details.menu, details.more" if frame else "main details.menu")
    return [menu for menu in found.all() if menu.is_visible()]  # looked up at each use: a page that lives puts new ones in


def too_wide(page: Page) -> list[str]:
    """Empty when nothing sticks out sideways; else by how much, and what."""
    found: list[str] = page.evaluate(_WIDER)
    return found


def too_small(page: Page) -> list[str]:
    """What is shown and can be pressed, but is smaller than a thumb needs; empty when nothing is."""
    found: list[str] = page.evaluate(_SMALL, THUMB)
    return found


def layout_shift(page: Page) -> float:
    """The sum of what has moved by itself since the page was opened (Cumulative Layout Shift, 0 is still)."""
    return float(page.evaluate(_SHIFT))


def transferred(page: Page) -> dict[str, int]:
    """Bytes over the wire for the page and each thing it loaded, headers included; 0 is from the cache."""
    sizes: dict[str, int] = page.evaluate(_TRANSFERRED)
    return sizes
