"""Draws the icons of the web app manifest from our mark: python web/assets/draw_icons.py; the result is committed."""

import re
from pathlib import Path

from playwright.sync_api import sync_playwright

STATIC = Path(__file__).parents[1] / "static"
CHROMIUM = "/usr/bin/chromium"


def drawn(size: int, *, maskable: bool) -> str:
    """The mark on a page of that many pixels; a maskable one fills its square and keeps the bell in the inner circle."""
    mark = (STATIC / "mark.svg").read_text(encoding="utf-8")
    if maskable:
        mark = mark.replace('viewBox="0 0 32 32"', 'viewBox="-5 -5 42 42"')
        mark = re.sub(r"<rect[^>]*fill", '<rect x="-5" y="-5" width="42" height="42" fill', mark)
    mark = mark.replace("<svg ", f'<svg width="{size}" height="{size}" ', 1)
    return f'<body style="margin:0">{mark.replace("<svg ", "<svg style=display:block ", 1)}</body>'


def main() -> None:
    """Draw them all."""
    folder = STATIC / "icons"
    folder.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        for size in (192, 512):
            for maskable in (False, True):
                page = browser.new_page(viewport={"width": size, "height": size})
                page.set_content(drawn(size, maskable=maskable))
                name = f"{'maskable' if maskable else 'icon'}-{size}.png"
                page.screenshot(path=folder / name, omit_background=True)
        browser.close()


if __name__ == "__main__":
    main()
