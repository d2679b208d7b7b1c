"""Turns away whoever comes round the proxy, where that proxy is the only reason to listen in the clear."""

import ipaddress
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from core import logs
from core.settings import Settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

log = logs.get(__name__)

MOST_TOLD = 50
"""So many addresses are told of in the log, each once."""
SAID = (
    b"Tocsin is reached through its proxy only: here passwords and alerts would travel in the clear. Use its https address.\n"
    b"Who runs it: name this machine in TOCSIN_TRUSTED_PROXIES if it is a proxy, or see TLS in docs/operate.md.\n"
)


def front(given: Settings, app: "ASGIApp") -> "ASGIApp":
    """The application as it is served: named proxies are believed about the client, and strangers are turned away if need be."""
    from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

    if given.trusted_proxies:
        app = cast("ASGIApp", ProxyHeadersMiddleware(cast(Any, app), list(given.trusted_proxies)))
    return OnlyProxies(app, given.trusted_proxies) if given.only_proxies else app


class OnlyProxies:
    """Lets in who speaks from this machine or from these networks; the others get 403, before anything is read of them.

    It looks at the connection itself, so it stands outside of what believes X-Forwarded-For.
    """

    def __init__(self, app: "ASGIApp", networks: Sequence[str]) -> None:
        self.app = app
        allowed = [ipaddress.ip_network(one) for one in networks]

        @lru_cache(maxsize=1024)
        def known(peer: str) -> bool:
            try:
                found = ipaddress.ip_address(peer)
            except ValueError:
                return False
            found = getattr(found, "ipv4_mapped", None) or found
            return found.is_loopback or any(found in network for network in allowed)

        self.known = known
        self._told: set[str] = set()

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] == "lifespan" or self.known(peer := (scope.get("client") or ("",))[0]):
            await self.app(scope, receive, send)
            return
        if peer not in self._told and len(self._told) < MOST_TOLD:
            self._told.add(peer)
            log.warning("turned away: it came in the clear and round the proxy", extra={"peer": peer})
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", str(len(SAID)).encode()),
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": 403, "headers": headers})
        await send({"type": "http.response.body", "body": SAID, "more_body": False})
