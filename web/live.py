"""Live updates: one server-sent stream a visible page, saying only "X changed".

A page asks for topics, `/live?topics=incident:0198…,page`. The stream answers with events `changed` whose data is the
topics that changed; the page then fetches its own fragments again, through the same visibility as always.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import datetime

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from core import live
from core.actors import Actor
from core.auth import sessions
from core.db import reading
from core.types import Ref, from_micros
from incidents.visibility import visible_refs
from web.security import COOKIE, Signed

router = APIRouter()

HEARTBEAT = 20.0  # seconds; proxies drop silent connections after 30 to 60
ASKED_AGAIN = 20.0  # seconds after which a stream asks anew who listens, and what they may see
LATEST = 2**52  # microseconds since 1970: a date that Python knows
GATHER = 0.15  # seconds in which changes are told together


@router.get("/live", include_in_schema=False)
async def stream(request: Request, actor: Signed, topics: str = "", since: int = 0) -> StreamingResponse:
    """Server-sent events (WHATWG HTML §9.2) for the topics a page shows; a kind alone means any of that kind.

    `since` is when the page was asked for, in microseconds: what changed while it was on its way is told first.
    """
    wanted = await run_in_threadpool(allowed_topics, actor, topics)
    token = request.cookies.get(COOKIE, "")

    def anew() -> frozenset[str] | None:
        still = sessions.actor_for(token, used=False)  # an open page keeps nobody signed in
        return allowed_topics(still, topics) if still else None

    return StreamingResponse(
        events(wanted, from_micros(since) if 0 < since < LATEST else None, anew),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def allowed_topics(actor: Actor, topics: str) -> frozenset[str]:
    """The first fifty topics of a list, without those about one thing that the reader may not see."""
    given = [topic for topic in topics.split(",")[:50] if topic]
    refs = {topic: Ref(*topic.split(":", 1)) for topic in given if ":" in topic}
    with reading() as session:
        seen = visible_refs(session, actor, refs.values())
    return frozenset(topic for topic in given if topic not in refs or refs[topic] in seen)


def matching(wanted: frozenset[str], kind: str, ident: str) -> set[str]:
    """The topics that a change of kind:ident answers."""
    return {topic for topic in (kind, f"{kind}:{ident}") if topic in wanted}


async def events(
    wanted: frozenset[str], since: datetime | None = None, anew: Callable[[], frozenset[str] | None] | None = None
) -> AsyncIterator[str]:
    """The stream's text: a greeting, then changes gathered for a moment, and a heartbeat when quiet.

    `anew` says now and then what may be told by now; None ends the stream, as for somebody who has signed out.
    """
    asked = time.monotonic()
    async with live.listening(since) as changes:
        yield "retry: 2000\n\n"
        ref: Ref | None = None
        while ref != live.ENDED:  # or until the browser leaves, which cancels this
            if anew is not None and time.monotonic() - asked >= ASKED_AGAIN:
                if (by_now := await run_in_threadpool(anew)) is None:
                    return
                wanted, asked = by_now, time.monotonic()
            try:
                ref = await asyncio.wait_for(changes.get(), HEARTBEAT)
            except TimeoutError:
                yield ": still here\n\n"
                continue
            changed = matching(wanted, ref.kind, ref.id)
            if not changed:
                continue
            await asyncio.sleep(GATHER)
            while not changes.empty():
                ref = changes.get_nowait()
                changed |= matching(wanted, ref.kind, ref.id)
            yield f"event: changed\ndata: {' '.join(sorted(changed))}\n\n"
