"""A web server that leaves politely: whoever has been let in is answered, and is told to knock elsewhere next time."""

import asyncio
import resource
import time
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.protocols.http import httptools_impl

from core import live, stopping

FILES = 8192
"""Connections are files, and a process must run out of patience before it runs out of those."""


class Server(uvicorn.Server):
    """uvicorn's server, which would close kept-alive connections under requests that are on their way."""

    ready: Callable[[], None] | None = None

    async def startup(self, sockets: Any = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets=sockets)
        if self.started and self.ready is not None:
            self.ready()

    async def shutdown(self, sockets: Any = None) -> None:
        """Answer what comes while saying good-bye, stop listening, answer what came last, and end."""
        live.end()  # open event streams would be waited for
        last = (b"connection", b"close")
        self.server_state.default_headers = [*self.server_state.default_headers, last]
        await self._wait(lambda: not self.server_state.connections, stopping.GOODBYE)
        # Nothing is awaited between the last turn, which took whoever had knocked, and this.
        for server in self.servers:
            server.close()
        await self._wait(lambda: not self.server_state.connections, stopping.LATECOMERS)
        await super().shutdown(sockets)

    async def _wait(self, enough: Callable[[], bool], at_most: float) -> None:
        end = time.monotonic() + at_most
        while not enough() and not self.force_exit and time.monotonic() < end:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.02)
        await asyncio.sleep(0)


async def full_house(_scope: Any, _receive: Any, send: Any) -> None:
    """More connections than one process takes: come back in a moment."""
    body = b'{"type":"about:blank","title":"Too many connections","status":503}'
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"retry-after", b"2"),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def server(config: uvicorn.Config, ready: Callable[[], None] | None = None) -> Server:
    """A server that leaves politely, and whose refusals say when to come back (uvicorn's own do not).

    `ready` is called once it listens.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < enough:
        resource.setrlimit(resource.RLIMIT_NOFILE, (enough, hard))
    setattr(httptools_impl, "service_unavailable", full_house)  # noqa: B010 - uvicorn has no setting for it
    made = Server(config)
    made.ready = ready
    return made
