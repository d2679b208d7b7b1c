"""Each page's template uses exactly what its declared context gives, and only icons that are there."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
from jinja2 import meta

from core import plugins
from web.pages import FRAME_NAMES, HERE, PAGES, environment

plugins.discover("web.routes", "router")
import web.errors  # noqa: E402, F401  # declares the error page

TEMPLATES = HERE / "templates"


def names_used(template: str) -> set[str]:
    """What a template and those it extends or includes take from their context."""
    env = environment()
    used: set[str] = set()
    for name in family(template):
        source = (TEMPLATES / name).read_text()
        used |= meta.find_undeclared_variables(env.parse(source))
    return used - set(env.globals)


def family(template: str) -> list[str]:
    """The template and every template it names."""
    found, todo = [], [template]
    while todo:
        name = todo.pop()
        if name in found:
            continue
        found.append(name)
        source = (TEMPLATES / name).read_text()
        todo += re.findall(r"\{%-?\s*(?:extends|include)[^%]*?\"([\w./-]+\.html)\"", source)
        todo += re.findall(r"\{%-?\s*(?:extends|include)[^%]*?else \"([\w./-]+\.html)\"", source)
    return found


@pytest.mark.parametrize("template", sorted(PAGES))
def test_a_page_declares_exactly_what_its_template_uses(template: str) -> None:
    declared = {field.name for field in fields(PAGES[template])}  # type: ignore[arg-type]  # pages are dataclasses
    used = names_used(template) - FRAME_NAMES
    assert used <= declared, (
        f"{template} uses {sorted(used - declared)}, which {PAGES[template].__name__} lacks"
    )
    assert declared <= used, (
        f"{PAGES[template].__name__} declares {sorted(declared - used)}, unused by {template}"
    )


@pytest.mark.parametrize("template", sorted(PAGES))
def test_a_page_has_one_heading(template: str) -> None:
    sources = "".join((TEMPLATES / name).read_text() for name in family(template))
    assert len(re.findall(r"<h1[\s>]", sources)) >= 1


def test_every_icon_is_in_the_sprite() -> None:
    sprite = (HERE / "static/vendor/tabler-icons/icons.svg").read_text()
    there = set(re.findall(r'<symbol id="([\w-]+)"', sprite))
    sources = [*TEMPLATES.rglob("*.html"), *HERE.glob("*.py"), *(HERE / "routes").glob("*.py")]
    named = r"(?:(?:icon|glyph)(?:\(|=)|[\[(][\"'](?:good|warn|bad|wait|plain|accent|info|ahead)[\"'],\s*)[\"']([a-z][a-z0-9-]*)[\"']"
    used = {name for file in sources for name in re.findall(named, Path(file).read_text())}
    assert used <= there, f"run `make assets`: {sorted(used - there)} are not in the sprite"


def test_no_template_holds_inline_script_style_or_foreign_address() -> None:
    for file in TEMPLATES.rglob("*.html"):
        source = file.read_text()
        assert not re.search(r"<script(?![^>]*\ssrc=)", source), f"{file.name}: inline script"
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|hx-on|javascript:", source), (
            f"{file.name}: inline code or style"
        )
        assert not re.search(r"(?:src|href|action)=\"https?://", source), f"{file.name}: leaves our origin"


def test_first_visit_stays_small() -> None:
    import gzip

    static = HERE / "static"
    text = ["vendor/tabler/tabler.min.css", "vendor/htmx/htmx.min.js", "ground.css", "tocsin.css", "touch.css", "tocsin.js", "theme.js",
            "vendor/tabler-icons/icons.svg"]  # fmt: skip
    size = sum(len(gzip.compress((static / name).read_bytes())) for name in text)
    size += (static / "vendor/inter/inter-latin.woff2").stat().st_size
    assert size < 160_000, f"{size} bytes before the page itself"
