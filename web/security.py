"""Who may do what through the browser: session cookie, forged-request checks, permissions and response headers."""

import hashlib
import hmac
import ipaddress
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Depends, Request, Response
from starlette.datastructures import FormData, Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core import clock, logs
from core.actors import Actor
from core.auth import permissions, second_step, sessions
from core.auth.second_step import Shown
from core.errors import Forbidden, Invalid, NeedsSecondFactor, Problem, TooMany, Unauthenticated
from core.ids import secret_token
from core.settings import settings
from core.types import to_micros
from web import bodies, languages
from web.languages import gettext as _

COOKIE = "tocsin_session"
LANGUAGE_COOKIE = "tocsin_language"
UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})

# No inline script or style, nothing from elsewhere, no frames; data: images are Tabler's own form marks.
POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
}


# ---------------------------------------------------------------------------------------------- the session cookie


def secure() -> bool:
    """Whether readers reach us by https, so that the cookie may be kept from plain http."""
    return urlsplit(settings().base_url).scheme == "https"


def peer(request: Request) -> str | None:
    """The address the request comes from; behind a proxy of TOCSIN_TRUSTED_PROXIES, the one that it was sent from."""
    try:
        return str(ipaddress.ip_address(request.client.host)) if request.client else None
    except ValueError:  # a proxy that passes on whatever it is told
        return None


def give_cookie(response: Response, token: str) -> None:
    """Sign the browser in: the cookie lives as long as the browser; the session row holds the true expiry."""
    response.set_cookie(COOKIE, token, httponly=True, samesite="lax", secure=secure(), path="/")


def take_cookie(response: Response) -> None:
    """Sign the browser out."""
    response.delete_cookie(COOKIE, httponly=True, samesite="lax", secure=secure(), path="/")


def form_token(session_token: str) -> str:
    """The token every form of a session carries: known to our pages, not to another site's."""
    return hashlib.sha256(b"tocsin form\0" + session_token.encode()).hexdigest()


def signed_in(request: Request) -> Actor:
    """The person behind the request; raises Unauthenticated, which sends a browser to the sign-in page."""
    known: Actor | None = getattr(request.state, "actor", None)
    if known is not None:
        return known
    request.state.asked_at = to_micros(clock.now())  # before anything is read
    token = request.cookies.get(COOKIE)
    actor = sessions.actor_for(token) if token else None
    if token is None or actor is None:
        raise Unauthenticated(_("Please sign in."))
    request.state.actor = actor
    request.state.csrf = form_token(token)
    return actor


Signed = Annotated[Actor, Depends(signed_in)]


def shown_in(form: FormData) -> Shown:
    """The second factor that a form carries beside its own fields: a code, or a passkey's answer."""
    code, ticket, answer = (form.get(f"factor.{name}") for name in ("code", "ticket", "answer"))
    return Shown(*(value if isinstance(value, str) else "" for value in (code, ticket, answer)))


def shows(request: Request, actor: Actor, shown: Shown) -> Actor:
    """The actor, who has shown this second factor now; raises NeedsSecondFactor, which asks again, when it is wrong."""
    try:
        proved = second_step.show_again(
            request.cookies.get(COOKIE, ""), actor, shown,
            address=peer(request),
        )  # fmt: skip
    except (Invalid, TooMany) as error:
        raise NeedsSecondFactor(error.message, enrolled=True, problem=error.message) from error
    request.state.actor = proved
    return proved


# ---------------------------------------------------------------------------------------------- forms


class Fields:
    """A submitted form: text that is present, text that may be missing, several values, a tick."""

    def __init__(self, form: FormData) -> None:
        self.form = form

    def get(self, name: str, default: str = "") -> str:
        """The field's text, stripped; `default` when it is missing."""
        value = self.form.get(name, default)
        return value.strip() if isinstance(value, str) else default

    def need(self, name: str, message: str) -> str:
        """The field's text; raises Invalid with the sentence when it is empty."""
        if not (value := self.get(name)):
            raise Invalid(message, [Problem(name, message)])
        return value

    def many(self, name: str) -> list[str]:
        """Every value of a field that may repeat, in order, empty ones left out."""
        return [value for value in self.form.getlist(name) if isinstance(value, str) and value.strip()]

    def flag(self, name: str) -> bool:
        """Whether a box is ticked."""
        return self.get(name) in ("1", "on", "true", "yes")

    def instant(self, name: str) -> datetime | None:
        """An instant as the browser sends it: RFC 3339 with an offset, written by tocsin.js; UTC without."""
        if not (value := self.get(name)):
            return None
        try:
            at = datetime.fromisoformat(value)
        except ValueError as error:
            message = _("This is not a date and time.")
            raise Invalid(message, [Problem(name, message)]) from error
        return at if at.tzinfo else at.replace(tzinfo=UTC)

    def starting(self, prefix: str) -> dict[str, str]:
        """The fields whose name begins with the prefix, without it: `input.user` → `user`."""
        return {
            name.removeprefix(prefix): value.strip()
            for name, value in self.form.multi_items()
            if name.startswith(prefix) and isinstance(value, str)
        }


async def fields(request: Request) -> AsyncIterator[Fields]:
    """The form of this request; its files are let go of when it is answered."""
    async with request.form() as form:
        yield Fields(form)


Form = Annotated[Fields, Depends(fields)]


# ---------------------------------------------------------------------------------------------- permissions


@dataclass(frozen=True)
class Allowed:
    """A dependency: a signed-in person who holds the permission, and for a change proof that our own page asked."""

    permission: str

    async def __call__(self, request: Request) -> Actor:
        from starlette.concurrency import run_in_threadpool

        actor = await run_in_threadpool(signed_in, request)
        if request.method in UNSAFE:
            form = await request.form()
            given = request.headers.get("X-CSRF-Token") or form.get("csrf")
            if not isinstance(given, str) or not hmac.compare_digest(given, request.state.csrf):
                raise Forbidden(_("This form is no longer valid: go back, reload the page and try again."))
            request.state.form = form  # for the page that asks for a second factor and sends it once more
            if shown := shown_in(form):
                actor = await run_in_threadpool(shows, request, actor, shown)
        permissions.require(actor, self.permission)
        return actor


@dataclass(frozen=True)
class Open:
    """A dependency that marks a changing route which needs no session, with the reason why that is safe."""

    reason: str

    async def __call__(self) -> None:
        return None


def allowed(permission: str) -> Any:
    """The dependency that asks for a permission; tests find it by walking the routes."""
    return Depends(Allowed(permission))


def open_to_all(reason: str) -> Any:
    """`dependencies=[open_to_all("…")]`: a changing route without a session, and why."""
    return Depends(Open(reason))


# ---------------------------------------------------------------------------------------------- the outer layer


class Guard:
    """ASGI layer around pages and API: headers, language, correlation id, refusal of other sites' forms and of what is too large."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        with tied(headers.get("X-Request-ID")) as correlation:
            cookies = headers.get("Cookie", "")
            languages.use(languages.choose(_cookie(cookies, LANGUAGE_COOKIE), headers.get("Accept-Language")))

            async def send_with_headers(message: Message) -> None:
                if message["type"] == "http.response.start":
                    answer = MutableHeaders(scope=message)
                    for name, value in HEADERS.items():
                        answer.setdefault(name, value)
                    if secure():
                        answer.setdefault("Strict-Transport-Security", "max-age=31536000")
                    answer["X-Request-ID"] = correlation
                await send(message)

            if scope["method"] in UNSAFE and f"{COOKIE}=" in cookies and from_elsewhere(headers):
                await refused(scope, receive, send_with_headers)
            elif (refusal := bodies.too_large(scope, headers.get("Content-Length"))) is not None:
                await refusal(scope, receive, send_with_headers)
            else:
                await self.app(scope, bodies.bounded(scope, receive), send_with_headers)


def from_elsewhere(headers: Headers) -> bool:
    """Whether a browser says that another site sent this request (Fetch Metadata, else Origin, RFC 6454)."""
    site = headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("Origin")
    if origin is None:
        return False
    ours = {urlsplit(settings().base_url).netloc, headers.get("Host", "")}
    return urlsplit(origin).netloc not in ours


async def refused(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request that another site sent with this browser's cookie."""
    message = "This request came from another site and was refused."
    await Response(message, status_code=403, media_type="text/plain")(scope, receive, send)


@contextmanager
def tied(given: str | None) -> Iterator[str]:
    """A correlation id for everything logged while answering: the caller's when it is tame, else a fresh one."""
    correlation = (
        given if given and len(given) <= 64 and given.replace("-", "").isalnum() else secret_token(9)
    )
    token = logs.correlation.set(correlation)
    try:
        yield correlation
    finally:
        logs.correlation.reset(token)


def _cookie(header: str, name: str) -> str | None:
    for part in header.split(";"):
        key, _sep, value = part.strip().partition("=")
        if key == name:
            return value
    return None
