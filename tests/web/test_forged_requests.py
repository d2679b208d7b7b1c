"""Every changing route, asked as another site, a stranger or a reader would: each is refused, and nothing is written."""

import asyncio
import re
from collections.abc import Iterator
from uuid import UUID

import httpx
import pytest
from at_the_pages import Reader
from every_route import calls, routes
from fastapi.routing import APIRoute
from people_here import People, unproved
from sqlalchemy import func, select

from cli import assemble
from core.auth import permissions
from core.db import reading
from core.journal import JournalEntry
from web import security

assemble.load()
ID = str(UUID(int=5))
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def asked(path: str) -> str:
    """An address of the route; what it names does not exist."""
    return re.sub(r"{[^}]*}", ID, path)


def changing(*, api: bool) -> Iterator[tuple[str, str, str]]:
    """(method, address, permission) of every route that changes something and needs somebody who is signed in."""
    for route in routes():
        permission = _permission(route)
        if permission is None or route.path.startswith("/api/") is not api:
            continue
        for method in sorted((route.methods or set()) & security.UNSAFE):
            yield method, asked(route.path), permission


def _permission(route: APIRoute) -> str | None:
    return next((call.permission for call in calls(route.dependant) if hasattr(call, "permission")), None)


def answers(reader: Reader, *sent: tuple[str, str, dict[str, str]]) -> list[int]:
    """The status of each (method, address, headers)."""

    async def send() -> list[int]:
        transport = httpx.ASGITransport(reader.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://tocsin.test", cookies=reader.cookies) as client:
            return [(await client.request(method, path, headers=headers)).status_code for method, path, headers in sent]

    return asyncio.run(send())


def entries() -> int:
    with reading() as session:
        return session.scalar(select(func.count()).select_from(JournalEntry)) or 0


@pytest.mark.parametrize("api", [False, True], ids=["pages", "api"])
def test_a_session_alone_changes_nothing(sqlite_database: object, people: People, api: bool) -> None:
    ana, other = Reader(people.ana), Reader(people.raul)
    every = list(changing(api=api))
    assert len(every) > 40
    before = entries()
    ways = {
        "without a token": FORM, "with somebody else's": {**FORM, "X-CSRF-Token": other.csrf},
        "from another site": {**FORM, "X-CSRF-Token": ana.csrf, "Sec-Fetch-Site": "cross-site"},
        "from another origin": {**FORM, "X-CSRF-Token": ana.csrf, "Origin": "https://evil.example"},
    }  # fmt: skip
    for way, headers in ways.items():
        found = answers(ana, *((method, path, headers) for method, path, _ in every))
        assert [(way, one[:2], status) for one, status in zip(every, found, strict=True) if status != 403] == []
    assert entries() == before


@pytest.mark.parametrize("api", [False, True], ids=["pages", "api"])
def test_a_stranger_changes_nothing(sqlite_database: object, people: People, api: bool) -> None:
    every = list(changing(api=api))
    found = answers(Reader(), *((method, path, FORM) for method, path, _ in every))
    let_in = [(one[:2], status) for one, status in zip(every, found, strict=True) if status not in (401, 303)]
    assert let_in == [], "asked to sign in, or refused"


@pytest.mark.parametrize("api", [False, True], ids=["pages", "api"])
def test_who_may_not_changes_nothing(sqlite_database: object, people: People, api: bool) -> None:
    aldo = Reader(unproved(people.aldo))
    before = entries()
    mine = {name for name, one in permissions.declared().items() if "auditor" in one.roles}
    others = [one for one in changing(api=api) if one[2] not in mine]
    assert len(others) > 30
    found = answers(aldo, *((method, path, {**FORM, "X-CSRF-Token": aldo.csrf}) for method, path, _ in others))
    assert [(one, status) for one, status in zip(others, found, strict=True) if status != 403] == []
    assert entries() == before
