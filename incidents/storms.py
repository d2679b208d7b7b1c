"""Brake a storm: when a source asks for more incidents than people can read, alerts of one kind gather in one incident."""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select

from connectors.contract import AlertDraft
from core import bulk
from core.db import UnitOfWork
from core.ids import new_id
from incidents.grouping import MAX_KEY, spoken
from incidents.models import Gust

TAG = "storm"
_PREFIX = "storm:"
_LOOKED_AT = (
    200  # the newest gusts of a source: each is one wish at least, so they are enough to know a storm
)
_KEPT = timedelta(hours=1)
_BITE = 500
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class Limit:
    """So many incidents may one source ask for within a time before its alerts gather by kind."""

    most: int
    window: timedelta


ORDINARY = (Limit(5, timedelta(minutes=1)), Limit(10, timedelta(minutes=10)))
"""Nobody reads more than this: what comes at once, and what comes bit by bit."""
CRITICAL = (Limit(20, timedelta(minutes=10)),)
"""The same for critical ones: they pass, storm or not, until even of these there are too many to be read."""


@dataclass(frozen=True)
class Wish:
    """A group for which an incident would be opened, were there no storm: when its alert arrived, and how bad it is."""

    at: datetime
    critical: bool


@dataclass
class Storms:
    """What the weather of one source is while a batch is placed; `exceeded` has a limit where there is a storm."""

    source: str
    exceeded: dict[bool, Limit] = field(default_factory=dict)  # by whether it is about critical alerts

    def why(self, critical: bool) -> str:
        """The words that tell people why alerts gather."""
        limit = self.exceeded.get(critical)
        if limit is None:
            return f"a storm of {self.source} whose incident of this kind is still open, so alerts of this kind gather in it"
        named = "critical incidents" if critical else "incidents"
        return (
            f"a storm: {self.source} asked for more than {limit.most} {named} within {spoken(limit.window)}, "
            "so alerts of this kind gather in one"
        )


def watch(uow: UnitOfWork, source_id: UUID, source: str, wishes: Iterable[Wish]) -> Storms:
    """Judge the weather of a source that is about to open incidents, and remember what it asks for.

    What counts is when alerts arrived, not when there was time to read them: a storm that waits in the backlog is a storm
    however slowly, and in however small batches, it is worked off. Wishes count whether or not they were granted, so a
    storm does not end by being braked.
    """
    found = Storms(source)
    asked: dict[bool, Counter[datetime]] = {}
    for wish in wishes:
        asked.setdefault(wish.critical, Counter())[wish.at.replace(microsecond=0)] += 1
    for critical, now in asked.items():
        limits = CRITICAL if critical else ORDINARY
        before = _known(uow, source_id, critical, min(now) - max(limit.window for limit in limits))
        if limit := exceeded(before, now, limits):
            found.exceeded[critical] = limit
    _remember(uow, source_id, asked)
    return found


def exceeded(
    before: Iterable[tuple[datetime, int]], now: Mapping[datetime, int], limits: Sequence[Limit]
) -> Limit | None:
    """The first limit that (moment, number) pairs exceed in a window which ends at a moment of `now`; else None."""
    events = sorted([*before, *now.items()])
    moments = [at for at, _ in events]
    totals = [0, *accumulate(number for _, number in events)]
    for limit in limits:
        for at in now:
            first, end = bisect_right(moments, at - limit.window), bisect_right(moments, at)
            if totals[end] - totals[first] > limit.most:
                return limit
    return None


def forget(uow: UnitOfWork) -> int:
    """Forget up to 500 gusts that are over; returns how many."""
    old = select(Gust.id).where(Gust.created_at < uow.now - _KEPT).order_by(Gust.created_at).limit(_BITE)
    ids = uow.scalars(old).all()
    if ids:
        uow.execute(
            delete(Gust).where(bulk.among(uow, Gust.id, ids)),
            execution_options={"synchronize_session": False},
        )
    return len(ids)


def key_of(source_id: object, draft: AlertDraft, *, critical: bool) -> str:
    """The group's key of a kind of alert in a storm: a source's rule, and whether it is critical."""
    values = [entity.value for entity in draft.entities[:50]]
    return key_of_kind(
        source_id, kind(draft.rule_id, draft.rule_name, draft.title, values), critical=critical
    )


def key_of_kind(source_id: object, of_kind: str, *, critical: bool) -> str:
    """The same for a kind that is known."""
    return f"{_PREFIX}{source_id}:{'critical' if critical else 'other'}:{of_kind}"[:MAX_KEY]


def kind(rule_id: str | None, rule_name: str | None, title: str, named: Iterable[str]) -> str:
    """What an alert is one of many of: its tool's rule; without one its title, less numbers and the values it names."""
    return (rule_id or rule_name or _skeleton(title, named)).replace("\x00", "\ufffd")


def is_of_storm(group_key: str | None) -> bool:
    """Whether a group's key is one of a storm."""
    return group_key is not None and group_key.startswith(_PREFIX)


def _known(uow: UnitOfWork, source_id: UUID, critical: bool, since: datetime) -> list[tuple[datetime, int]]:
    newest = (
        select(Gust.at, Gust.number)
        .where(Gust.source_id == source_id, Gust.critical == critical, Gust.at >= since)
        .order_by(Gust.at.desc())
        .limit(_LOOKED_AT)
    )
    return [(at, number) for at, number in uow.execute(newest)]


def _remember(uow: UnitOfWork, source_id: UUID, asked: Mapping[bool, Counter[datetime]]) -> None:
    rows: list[dict[str, Any]] = [
        {"id": new_id(), "created_at": uow.now, "source_id": source_id, "critical": critical, "at": at, "number": number}
        for critical, moments in asked.items()
        for at, number in moments.items()
    ]  # fmt: skip
    bulk.insert(uow, Gust.__table__, rows)


def _skeleton(title: str, named: Iterable[str]) -> str:
    for value in sorted(named, key=lambda value: -len(value)):
        if len(value) > 2:
            title = title.replace(value, "*")
    return _NUMBER.sub("#", title)
