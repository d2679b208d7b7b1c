"""Credentials exchanged for a token that lives for a while: OAuth 2 client, login for a JWT, session cookie."""

import base64
import hashlib
import json
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.errors import Invalid
from core.net.auth.contract import kind
from core.net.auth.simple import basic_header
from core.net.egress import Egress
from core.net.errors import LoginRefused, NetFailed, NetTimeout
from core.net.http import Request, Response, send

EARLY = 30.0  # seconds before its end a token is no longer used
_LATER = frozenset({408, 425, 429})  # says nothing of our credentials: it may be tried again
MOST_KEPT = 500  # tokens; credentials that were changed leave theirs behind
_tokens: dict[str, tuple[str, float]] = {}
_locks = tuple(threading.Lock() for _ in range(64))  # a set of credentials has one of them, by its key
_guard = threading.Lock()


@dataclass(frozen=True)
class _Exchanged(ABC):
    """Keeps one token per set of credentials in this process's memory until it ends."""

    def _key(self) -> str:
        parts = sorted(
            (name, json.dumps(value, sort_keys=True, default=str)) for name, value in vars(self).items()
        )
        return hashlib.sha256(f"{type(self).__name__}{parts}".encode()).hexdigest()

    def forget(self) -> bool:
        """Drop the token; a new one will be fetched."""
        _tokens.pop(self._key(), None)
        return True

    def token(self, request: Request, rules: Egress) -> str:
        """The token, fetched when there is none; other threads wait for the one that fetches."""
        key = self._key()
        with _locks[int(key[:8], 16) % len(_locks)]:
            kept = _tokens.get(key)
            if kept is not None and kept[1] > time.monotonic():
                return kept[0]
            try:
                value, seconds = self.fetch(request, rules)
            except NetTimeout as error:
                raise NetTimeout(f"logging in failed: {error.message}") from None
            except LoginRefused:
                raise
            except NetFailed as error:
                raise NetFailed(f"logging in failed: {error.message}") from None
            _keep(key, value, time.monotonic() + max(seconds - EARLY, seconds / 2))
            return value

    @abstractmethod
    def fetch(self, request: Request, rules: Egress) -> tuple[str, float]:
        """A new token and the seconds it lives."""


def _keep(key: str, value: str, until: float) -> None:
    """Keep a token; when there are too many, those that have ended go, and then the oldest."""
    with _guard:
        _tokens.pop(key, None)
        _tokens[key] = (value, until)
        if len(_tokens) > MOST_KEPT:
            now = time.monotonic()
            for old in [name for name, (_, end) in _tokens.items() if end <= now]:
                _tokens.pop(old, None)
        while len(_tokens) > MOST_KEPT:
            _tokens.pop(next(iter(_tokens)), None)


def _login(login: Request, like: Request, rules: Egress) -> Response:
    asked = Request(
        method=login.method, url=login.url, headers={"Accept": "application/json", **login.headers}, json=login.json,
        form=login.form, timeout=like.timeout, tls=like.tls,
    )  # fmt: skip
    response = send(asked, egress=rules)
    if response.status in _LATER or response.status >= 500:
        raise NetFailed(f"the login answered {response.status}")
    if not response.ok:
        raise LoginRefused(f"logging in was refused with status {response.status}: check the credentials")
    return response


def _at(document: Any, path: str) -> str:
    found = document
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    if not isinstance(found, str) or not found:
        raise LoginRefused(f'the answer to logging in holds no "{path}"')
    return found


def _remaining(token: str, otherwise: float) -> float:
    """Seconds until a JWT's `exp` (RFC 7519 §4.1.4), unverified: it only says when to ask again."""
    try:
        body = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return float(claims["exp"]) - time.time()
    except (ValueError, LookupError, TypeError):
        return otherwise


@kind("oauth2_client")
@dataclass(frozen=True)
class OAuth2Client(_Exchanged):
    """Client credentials (RFC 6749 §4.4); `send_as`: form (in the body) or basic (in the header)."""

    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str = ""
    audience: str = ""
    resource: str = ""
    send_as: str = "form"

    def sign(self, request: Request, rules: Egress) -> Request:
        return request.with_headers({"Authorization": f"Bearer {self.token(request, rules)}"})

    def fetch(self, request: Request, rules: Egress) -> tuple[str, float]:
        form = {"grant_type": "client_credentials", "scope": self.scope, "audience": self.audience,
                "resource": self.resource}  # fmt: skip
        headers: dict[str, str] = {}
        if self.send_as == "basic":
            headers["Authorization"] = basic_header(self.client_id, self.client_secret)
        else:
            form |= {"client_id": self.client_id, "client_secret": self.client_secret}
        login = Request(
            method="POST", url=self.token_url, headers=headers, form={k: v for k, v in form.items() if v}
        )
        document = _login(login, request, rules).json()
        lifetime = document.get("expires_in") if isinstance(document, Mapping) else None
        seconds = (
            float(lifetime) if isinstance(lifetime, int | float | str) and str(lifetime).isdigit() else 300.0
        )
        return _at(document, "access_token"), seconds


@dataclass(frozen=True)
class _WithLogin(_Exchanged):
    url: str
    username: str
    password: str = field(repr=False)
    method: str = "POST"
    send_as: str = "basic"
    username_field: str = "username"
    password_field: str = "password"  # noqa: S105 - the name of a field
    extra: Mapping[str, Any] = field(default_factory=dict)
    lifetime: float = 900.0

    def __post_init__(self) -> None:
        if self.send_as not in ("basic", "json", "form"):
            raise Invalid('"send_as" is basic, json or form')

    def login(self, request: Request, rules: Egress) -> Response:
        """Log in the way `send_as` says."""
        if self.send_as == "basic":
            headers = {"Authorization": basic_header(self.username, self.password)}
            return _login(Request(method=self.method, url=self.url, headers=headers), request, rules)
        body = {self.username_field: self.username, self.password_field: self.password, **self.extra}
        if self.send_as == "json":
            return _login(Request(method=self.method, url=self.url, json=body), request, rules)
        return _login(Request(method=self.method, url=self.url, form=body), request, rules)


@kind("login_jwt")
@dataclass(frozen=True)
class LoginJwt(_WithLogin):
    """A login endpoint that answers with a token (Wazuh: basic, `data.token`, 900 s), sent in `header`."""

    token_path: str = "token"  # noqa: S105 - where in the answer
    header: str = "Authorization"
    prefix: str = "Bearer "

    def sign(self, request: Request, rules: Egress) -> Request:
        return request.with_headers({self.header: f"{self.prefix}{self.token(request, rules)}"})

    def fetch(self, request: Request, rules: Egress) -> tuple[str, float]:
        token = _at(self.login(request, rules).json(), self.token_path)
        return token, _remaining(token, self.lifetime)


@kind("session")
@dataclass(frozen=True)
class Session(_WithLogin):
    """A login endpoint that sets cookies; `csrf_cookie` is repeated in `csrf_header` when given."""

    csrf_cookie: str = ""
    csrf_header: str = ""

    def sign(self, request: Request, rules: Egress) -> Request:
        cookies = self.token(request, rules)
        headers = {"Cookie": cookies}
        if self.csrf_header:
            pairs = dict(pair.split("=", 1) for pair in cookies.split("; "))
            headers[self.csrf_header] = pairs.get(self.csrf_cookie, "").strip('"')
        return request.with_headers(headers)

    def fetch(self, request: Request, rules: Egress) -> tuple[str, float]:
        response = self.login(request, rules)
        pairs = [line.partition(";")[0].strip() for line in response.cookies]
        if not any("=" in pair for pair in pairs):
            raise LoginRefused("logging in set no cookie: check the credentials")
        return "; ".join(pair for pair in pairs if "=" in pair), self.lifetime
