"""The event stream tells what changed, several changes at once, and ends when the process is about to stop."""

import asyncio
from datetime import datetime, timedelta

import pytest
from starlette.requests import Request

import web.live
from core import clock, live
from core.actors import SYSTEM
from core.auth import sessions, users
from core.db import unit_of_work
from core.types import Ref, from_micros
from web.live import LATEST, events
from web.security import COOKIE


async def _heard(*refs: Ref) -> list[str]:
    stream = events(frozenset({"page", "incident:7"}))
    heard = [await anext(stream)]
    live.publish(refs)
    live.end()
    heard += [text async for text in stream]
    return heard


def test_changes_are_gathered_and_the_stream_ends() -> None:
    heard = asyncio.run(_heard(Ref("page", "1"), Ref("incident", "7"), Ref("incident", "8")))
    assert heard == ["retry: 2000\n\n", "event: changed\ndata: incident:7 page\n\n"]


def test_a_quiet_stream_ends_at_once() -> None:
    assert asyncio.run(asyncio.wait_for(_heard(Ref("alert", "1")), 60)) == ["retry: 2000\n\n"]


async def _first(since: datetime) -> str:
    stream = events(frozenset({"page", "incident:7"}), since)
    await anext(stream)
    live.end()
    return "".join([text async for text in stream])


def test_what_changed_while_the_page_was_on_its_way_is_told_first() -> None:
    live.publish((Ref("incident", "7"),))
    asked = clock.now() + timedelta(microseconds=1)
    assert asyncio.run(_first(asked)) == ""
    live.publish((Ref("page", "1"),))
    assert asyncio.run(_first(asked)) == "event: changed\ndata: page\n\n"
    assert from_micros(LATEST).year > 2100


async def _narrowed() -> list[str]:
    stream = events(frozenset({"page", "incident:7"}), None, lambda: frozenset({"page"}))
    heard = [await anext(stream)]
    live.publish((Ref("incident", "7"), Ref("page", "1")))
    live.end()
    return heard + [text async for text in stream]


def test_what_one_may_see_no_longer_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web.live, "ASKED_AGAIN", 0.0)
    assert asyncio.run(_narrowed()) == ["retry: 2000\n\n", "event: changed\ndata: page\n\n"]


def test_the_stream_of_somebody_who_has_signed_out_ends(
    sqlite_database: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web.live, "ASKED_AGAIN", 0.0)
    with unit_of_work() as uow:
        user = users.create(uow, SYSTEM, email="ana@example.org", name="Ana", roles=("responder",))
        token = sessions.start(uow, user)
    request = Request({"type": "http", "headers": [(b"cookie", f"{COOKIE}={token}".encode())]})

    async def heard() -> list[str]:
        answer = await web.live.stream(request, users.actor_of(user), "page")
        texts = aiter(answer.body_iterator)
        first = str(await anext(texts))
        sessions.sign_out(token)
        live.publish((Ref("page", "1"),))
        return [first, *[str(text) async for text in texts]]

    assert asyncio.run(asyncio.wait_for(heard(), 60)) == ["retry: 2000\n\n"]
