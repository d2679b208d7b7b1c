"""Somebody at Tocsin's pages inside the test's own process: signed in without a form, forms sent with their token, pages read."""

import asyncio
import html
import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import httpx
from every_route import app

from core import journal
from core.actors import Actor
from core.auth import sessions, users
from core.db import reading, unit_of_work
from web import security


def text_of(page: str) -> str:
    """What a reader sees of a page: its words, without the markup."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def verbs_told() -> list[str]:
    """The verbs of the journal's newest 200 entries."""
    with reading() as session:
        return [entry.verb for entry in journal.entries(session, limit=200)]


class Reader:
    """One browser; without an actor it belongs to a stranger."""

    def __init__(self, actor: Actor | None = None) -> None:
        self.app: Any = security.Guard(app())
        self.cookies: dict[str, str] = {}
        self.csrf = ""
        if actor is not None and actor.user_id is not None:
            with unit_of_work() as uow:
                token = sessions.start(uow, users.get(uow, UUID(actor.id)), proved_at=actor.proved_at)
            self.cookies[security.COOKIE] = token
            self.csrf = security.form_token(token)

    def get(self, path: str, status: int = 200) -> str:
        """The page's HTML."""
        answer = self._send("GET", path)
        assert answer.status_code == status, f"GET {path} → {answer.status_code}: {answer.text[:400]}"
        return answer.text

    def fetch(self, path: str, status: int = 200) -> httpx.Response:
        """The whole answer, for what is no page."""
        answer = self._send("GET", path)
        assert answer.status_code == status, f"GET {path} → {answer.status_code}: {answer.text[:400]}"
        return answer

    def post(
        self,
        path: str,
        status: int = 303,
        *,
        files: Sequence[tuple[str, tuple[str, bytes]]] = (),
        **fields: str | list[str],
    ) -> httpx.Response:
        """Send a form; names may hold `__` for a dot. files: (field, (name, bytes))."""
        data = {"csrf": self.csrf, **{name.replace("__", "."): value for name, value in fields.items()}}
        answer = self._send("POST", path, data=data, **({"files": list(files)} if files else {}))
        assert answer.status_code == status, f"POST {path} → {answer.status_code}: {answer.text[:600]}"
        return answer

    def _send(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=True)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://tocsin.test", cookies=self.cookies
            ) as client:
                return await client.request(method, path, **more)

        return asyncio.run(send())
