"""Pages: a declared context goes in, HTML comes out; a live request gets only the block it asked for.

A page is a dataclass that names its template:

    @dataclass(kw_only=True)
    class LoginPage(Page, template="login.html"):
        problem: str | None

and a route ends with `return show(request, LoginPage(problem=None))`. Templates run under StrictUndefined, and a test
compares each template's names with its page's fields.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import fields
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote, unquote

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from core import clock
from core.auth import passkeys
from core.settings import settings
from web import languages, wording

HERE = Path(__file__).parent
STATIC = HERE / "static"

# What every page may use besides its own fields.
FRAME_NAMES = frozenset({"frame", "csrf", "request_path", "request_query", "flash", "asked_at"})

SAID_COOKIE = "tocsin_said"


class Page:
    """The base of every page's declared context; subclasses are dataclasses."""

    template: ClassVar[str]
    # Which item of the left rail is lit: now, incidents, alerts, playbooks, oncall, reports, journal, settings, or "".
    rail: ClassVar[str] = ""

    def __init_subclass__(cls, *, template: str, rail: str = "", **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.template = template
        cls.rail = rail
        PAGES[template] = cls


PAGES: dict[str, type[Page]] = {}  # filled at import


@lru_cache(maxsize=512)
def asset(name: str) -> str:
    """The address of a static file, with a digest of its bytes so that browsers may keep it for ever."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:10]
    return f"/static/{name}?v={digest}"


@cache
def environment() -> Environment:
    """The one Jinja environment: strict, autoescaping, with our words and macros as globals."""
    env = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=bool(os.environ.get("TOCSIN_RELOAD")),
        extensions=["jinja2.ext.i18n", "jinja2.ext.loopcontrols"],
    )
    env.install_gettext_callables(languages.gettext, languages.ngettext, newstyle=True)  # type: ignore[attr-defined]  # added by the i18n extension
    env.globals["asset"] = asset
    env.globals["now"] = clock.now
    env.globals["passkey_home"] = passkeys.home
    env.globals["lang"] = languages.current
    env.globals["languages"] = languages.LANGUAGES
    env.filters.update(wording.FILTERS)
    env.globals["ui"] = env.get_template("macros.html").module
    return env


def context_of(page: Page) -> dict[str, Any]:
    """The names a page's template sees, apart from the frame's."""
    return {field.name: getattr(page, field.name) for field in fields(page)}  # type: ignore[arg-type]  # pages are dataclasses


def _render(template: Template, context: Mapping[str, Any], block: str | None) -> str:
    if block is not None and block in template.blocks:
        return "".join(template.blocks[block](template.new_context(dict(context))))
    return template.render(context)


def show(request: Request, page: Page, *, status: int = 200) -> HTMLResponse:
    """Render a page. With `HX-Target: x` and a block `live_x` in the template (dashes as underscores), only that block."""
    from web.frame import frame_of  # the frame reads every package below; pages stay importable without it

    env = environment()
    template = env.get_template(page.template)
    context = context_of(page)
    context.update(
        frame=frame_of(request, page.rail),
        csrf=getattr(request.state, "csrf", ""),
        asked_at=getattr(request.state, "asked_at", 0),
        request_path=request.url.path,
        request_query=request.url.query,
        flash=unquote(request.cookies.get(SAID_COOKIE, ""))[:300],
    )
    block = None
    if request.headers.get("HX-Request") == "true" and request.method == "GET":
        block = "live_" + request.headers.get("HX-Target", "").replace("-", "_")
    response = HTMLResponse(_render(template, context, block), status_code=status)
    if SAID_COOKIE in request.cookies and block is None:
        response.delete_cookie(SAID_COOKIE)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Vary"] = "HX-Request, HX-Target, Cookie, Accept-Language"
    return response


def then(path: str, said: str = "") -> RedirectResponse:
    """After a change: go on to a page of ours, which says the sentence once."""
    response = RedirectResponse(path, 303)
    if said:
        secure = settings().base_url.startswith("https:")
        response.set_cookie(
            SAID_COOKIE, quote(said[:300]), max_age=30, samesite="lax", httponly=True, secure=secure
        )
    return response
