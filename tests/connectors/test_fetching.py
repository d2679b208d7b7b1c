"""A block list that is no longer fetched is noticed after three of its usual intervals, and its return too."""

from datetime import timedelta

import pytest
from held_time import HeldClock
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from connectors import blocklist, fetching
from connectors.models import BlocklistFeed, ConnectorInstance
from core import work
from core.actors import SYSTEM
from core.db import reading, unit_of_work
from core.journal import Entry, entries

ALARMS = ["blocklist.silent", "blocklist.heard"]


def feed(kind: str = "ip", name: str = "edge") -> str:
    with unit_of_work() as uow:
        _, url = blocklist.create_feed(uow, SYSTEM, name=name, kind=kind)
    return url.rpartition("/")[2].removesuffix(".txt")


def fetch(token: str, clock: HeldClock, *gaps: timedelta) -> None:
    for gap in gaps:
        clock.advance(gap)
        blocklist.serve(token, "192.0.2.1")


def told() -> list[Entry]:
    with reading() as session:
        return entries(session, verbs=ALARMS)[::-1]


def health() -> tuple[str, str | None]:
    with reading() as session:
        row = session.scalars(
            select(ConnectorInstance).where(ConnectorInstance.connector == "blocklist")
        ).one()
        return row.health, row.health_note


def pass_time(clock: HeldClock, drain, gap: timedelta) -> None:
    clock.advance(gap)
    drain("connectors.fetching")


def test_silence_is_noticed_once_and_ends_with_the_next_fetch(database, clock, drain):
    token, minute = feed(), timedelta(minutes=1)
    fetch(token, clock, *[10 * minute] * 3)
    pass_time(clock, drain, 29 * minute)
    assert told() == []
    pass_time(clock, drain, 2 * minute)
    pass_time(clock, drain, 60 * minute)
    (silent,) = told()
    assert silent.verb == "blocklist.silent"
    assert (silent.body["name"], silent.body["every"], silent.body["listed"]) == ("edge", 600, 0)
    assert health()[0] == "failing"
    assert "No longer fetched: edge" in (health()[1] or "")
    fetch(token, clock, minute)
    assert [entry.verb for entry in told()] == ALARMS
    assert health() == ("ok", None)
    pass_time(clock, drain, 29 * minute)  # the silence has taught no longer interval
    assert len(told()) == 2
    pass_time(clock, drain, 2 * minute)
    assert [entry.verb for entry in told()][2:] == ["blocklist.silent"]


def test_a_quarter_of_an_hour_is_the_least(sqlite_database, clock, drain):
    token, minute = feed(), timedelta(minutes=1)
    fetch(token, clock, *[minute] * 5)
    pass_time(clock, drain, 14 * minute)
    assert told() == []
    pass_time(clock, drain, 2 * minute)
    assert [entry.verb for entry in told()] == ["blocklist.silent"]


def test_a_list_that_nobody_fetches_regularly_raises_no_alarm(sqlite_database, clock, drain):
    feed()  # never fetched
    once = feed("domain", "resolver")
    fetch(once, clock, timedelta(minutes=1), timedelta(seconds=5))  # its operator looked, and looked again
    pass_time(clock, drain, timedelta(days=3))
    assert told() == []


def test_what_is_fetched_while_it_is_looked_at_is_not_silent(database, clock, drain):
    token, minute = feed(), timedelta(minutes=1)
    fetch(token, clock, *[5 * minute] * 3)
    clock.advance(16 * minute)
    claims = work.claim(fetching.KIND, 10)
    blocklist.serve(token, "192.0.2.1")
    fetching.KIND.handle(claims)
    assert len(claims) == 1
    assert told() == []
    pass_time(clock, drain, timedelta(hours=2))
    assert [entry.verb for entry in told()] == ["blocklist.silent"]


def test_a_feed_that_is_ended_is_missed_by_nobody(database, clock, drain):
    token, minute = feed(), timedelta(minutes=1)
    fetch(token, clock, *[5 * minute] * 3)
    pass_time(clock, drain, 20 * minute)
    with unit_of_work() as uow:
        row = uow.scalars(select(BlocklistFeed)).one()
        blocklist.disable_feed(uow, SYSTEM, row.id)
    assert [entry.verb for entry in told()] == ALARMS
    pass_time(clock, drain, timedelta(days=1))
    assert len(told()) == 2


@given(st.lists(st.integers(0, 100_000), min_size=1, max_size=30))
def test_the_usual_interval_lies_between_those_seen(gaps):
    usual = None
    for gap in gaps:
        usual = fetching.usual(usual, timedelta(seconds=gap))
    seen = [gap for gap in gaps if gap >= 60]
    assert (usual is None) == (not seen)
    if usual is not None:
        assert min(seen) - 1 <= usual <= max(seen) + 1
        assert fetching.patience(usual) >= max(fetching.LEAST, timedelta(seconds=3 * min(seen) - 3))


@pytest.mark.parametrize(("gap", "usual"), [(timedelta(seconds=1), 300), (timedelta(minutes=5), 300), (timedelta(minutes=15), 480)])  # fmt: skip
def test_requests_of_a_pair_are_one(gap, usual):
    assert fetching.usual(300, gap) == usual
