"""The event stream tells what changed, several changes at once, and ends when the process is about to stop."""

import asyncio

from core import live
from core.types import Ref
from web.live import events


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
    assert asyncio.run(asyncio.wait_for(_heard(Ref("alert", "1")), 5)) == ["retry: 2000\n\n"]
