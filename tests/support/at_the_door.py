"""A client at the ingest door, in the test's own process."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest


class Door:
    """Sends requests to the door from a thread with an event loop, as a server would."""

    def __init__(self) -> None:
        from ingest import routes  # here, so that tests without a door load none of it

        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        transport = httpx.ASGITransport(routes.app, raise_app_exceptions=True)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://tocsin.test")

    def post(self, url: str, **kwargs: Any) -> httpx.Response:
        return self.request("POST", url, **kwargs)

    def request(self, method: str, url: str, **kwargs: Any) -> httpx.Response:
        return asyncio.run_coroutine_threadsafe(
            self._client.request(method, url, **kwargs), self._loop
        ).result(30)

    def post_many(self, requests: list[tuple[str, dict[str, Any]]]) -> list[httpx.Response]:
        """All at once."""

        async def all_of_them() -> list[httpx.Response]:
            return await asyncio.gather(*(self._client.post(url, **kwargs) for url, kwargs in requests))

        return asyncio.run_coroutine_threadsafe(all_of_them(), self._loop).result(60)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._client.aclose(), self._loop).result(10)
        from ingest import inbox

        inbox.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@pytest.fixture
def door(database: object) -> Iterator[Door]:
    """A client at the ingest door."""
    opened = Door()
    yield opened
    opened.close()
