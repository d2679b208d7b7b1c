"""No list walks a whole table, whatever it is narrowed by: the plans of its queries say so, on both databases."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, select, text, update
from sqlalchemy.orm import Session

from bench import filling, pouring
from core import db, journal, lookback
from core.actors import Actor, ActorKind
from core.db import one_moment, reading, unit_of_work
from core.types import Ref
from incidents import filters, queries, search
from incidents.filters import AlertFilter, IncidentFilter
from incidents.models import Alert, Incident
from ingest import queries as door
from ingest.models import Source

BASE = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
COUNT = 3000
READER = Actor(ActorKind.person, str(UUID(int=7)), "Reader", frozenset({"incident.read"}))
BIG = (
    "incidents",
    "alerts",
    "sightings",
    "deliveries",
    "alert_deliveries",
    "search_words",
    "journal",
    "journal_refs",
)
SOURCE = UUID(filling.SOURCE)
HALF_WAY = next(filling.cases(BASE, [COUNT // 2], pouring.AS_POSTGRES))

Asks = Callable[[Session], Any]


def _incidents(**wanted: Any) -> Asks:
    return lambda session: queries.incidents(session, READER, IncidentFilter(**wanted))


def _alerts(**wanted: Any) -> Asks:
    return lambda session: queries.alerts(session, READER, AlertFilter(**wanted))


LISTS: dict[str, Asks] = {
    **{f"incidents {wanted}": _incidents(**wanted) for wanted in (
        {}, {"state": "all"}, {"state": "closed"}, {"owner": "none"}, {"owner": "none", "state": "closed"},
        {"owner": "me", "state": "closed"},
        {"owner": "me", "state": "all"}, {"owner": filling.owner(0)}, {"owner": "none", "state": "all"},
        {"severities": ["info"]}, {"severities": ["info"], "state": "all"}, {"severities": ["critical"], "state": "closed"},
        {"severities": ["info", "low"], "state": "all"}, {"category": "fraud"}, {"category": "fraud", "state": "all"},
        {"category": "malware", "severities": ["critical"], "state": "all"}, {"confirmation": "declared", "state": "all"},
        {"stages": ["contain"], "state": "all"}, {"source": "elsewhere", "state": "all"}, {"team": UUID(int=1), "state": "all"},
        {"constituency": UUID(int=1), "state": "all"}, {"tag": "x", "state": "all"}, {"technique": "T1566", "state": "all"},
        {"late": True, "state": "all"}, {"learning": True}, {"exercise": True, "state": "all"}, {"words": "nowhere"},
        {"words": "malware", "state": "all"}, {"observable": filling.address(5), "state": "all"},
        {"observable": filling.host(5), "state": "all"}, {"observable": "8.8.8.8", "state": "all"},
        {"opened_from": BASE, "opened_to": BASE, "state": "all"},
    )},
    **{f"alerts {wanted}": _alerts(**wanted) for wanted in (
        {}, {"state": "open"}, {"state": "ended"}, {"severities": ["info"]}, {"severities": ["critical"], "state": "open"},
        {"severities": ["info", "low"]}, {"source_id": SOURCE}, {"source_id": UUID(int=9)}, {"connector": "none"},
        {"category": "fraud"}, {"incident": UUID(HALF_WAY.incident)}, {"attached": True}, {"attached": False},
        {"late": True}, {"learning": True}, {"is_test": True}, {"rule_id": "x"}, {"words": "nowhere"},
        {"observable": filling.address(5)}, {"observable": filling.host(5)}, {"observable": "8.8.8.8"},
        {"seen_from": BASE, "seen_to": BASE},
    )},
    **{f"deliveries {wanted}": (lambda session, wanted=wanted: door.deliveries(session, READER, **wanted)) for wanted in (
        {}, {"state": "refused"}, {"state": "processed"}, {"state": "quarantined"}, {"source_id": SOURCE},
        {"source_id": UUID(int=9)}, {"source_id": SOURCE, "state": "quarantined"}, {"before": UUID(HALF_WAY.delivery)},
    )},
    **{f"journal {wanted}": (lambda session, wanted=wanted: journal.page(session, **wanted)) for wanted in (
        {}, {"before": UUID(HALF_WAY.entry)}, {"verbs": ["page.started", "incident.opened"]}, {"verbs": ["unheard.of"]},
        {"actor_id": filling.SOURCE}, {"actor_id": "x"}, {"actor_id": filling.SOURCE, "verbs": ["page.started"]},
        {"ref": Ref("incident", str(UUID(HALF_WAY.incident)))},
        {"ref": Ref("incident", str(UUID(HALF_WAY.incident))), "verbs": ["page.started"]},
    )},
    **{f"search {words}": (lambda session, words=words: search.search(session, READER, words)) for words in (
        "malware", "malware ws0005", "mal", filling.address(5), filling.host(5), HALF_WAY.key, "inc", "nothing at all",
    )},
    "open counts": lambda session: queries.open_counts(session, READER),
    "sources": door.sources,
    "set aside": lambda session: (door.quarantined(session, READER), door.quarantined_since(session, READER)),
}  # fmt: skip


@pytest.fixture
def big(database: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some thousands of everything, with statistics; a page looks through two hundred."""
    monkeypatch.setattr(filling, "HOSTS", 40)
    monkeypatch.setattr(filling, "ADDRESSES", 300)
    monkeypatch.setattr(lookback, "AT_ONCE", 200)
    monkeypatch.setattr(filters, "MOST_SEEN", 50)
    monkeypatch.setattr(search, "LOOKED_AT", 200)
    monkeypatch.setattr(search, "SORTED", 200)
    monkeypatch.setattr(queries, "MOST_COUNTED", 100)
    monkeypatch.setattr(door, "MOST_COUNTED", 100)
    pouring.pour(db.engine(), BASE, 0, COUNT)
    with unit_of_work() as uow:  # some are restricted to others, each in its own way
        source = Source(name="elsewhere", connector="generic_json", proof="bearer", trust="low", created_at=BASE, restricted_to=[])
        uow.add(source)
        others = uow.scalars(select(Incident.id).where(Incident.id != UUID(HALF_WAY.incident)).limit(5)).all()
        uow.execute(update(Incident).where(Incident.id.in_(others)).values(restricted_to=[]))
        alerts = uow.scalars(select(Alert.id).where(Alert.id != UUID(HALF_WAY.alert)).limit(5)).all()
        uow.execute(update(Alert).where(Alert.id.in_(alerts)).values(restricted_to=[], count=50))


def test_no_list_walks_a_table(big: None) -> None:
    wrong = {}
    for name, ask in LISTS.items():
        with one_moment() as session, _plans(session) as plans:
            ask(session)
        if found := [line for plan in plans for line in _walks(plan)]:
            wrong[name] = found
    assert not wrong, "\n".join(f"{name}: {found}" for name, found in wrong.items())


def test_a_walk_would_be_seen(big: None) -> None:
    with one_moment() as session, _plans(session) as plans:
        session.execute(text("SELECT id FROM alerts WHERE title LIKE '%x' ORDER BY title LIMIT 5")).all()
    assert _walks(plans[0])


def test_what_is_older_than_was_looked_through_is_found_on_later_pages(big: None) -> None:
    half_way = next(filling.cases(BASE, [COUNT // 2], pouring.AS_POSTGRES))
    wanted = IncidentFilter(state="all", confirmation="unconfirmed", words=half_way.title)
    with reading() as session:
        whole = queries.incidents(session, READER, wanted, limit=200)
        seen, pages, cursor = [], 0, None
        while True:
            page = queries.incidents(session, READER, wanted, before=cursor, limit=3)
            seen += [one.id for one in page.items]
            pages += 1
            if not (cursor := page.next):
                break
    assert whole.next is not None, "one page looks through a part"
    assert pages >= COUNT // lookback.AT_ONCE
    assert UUID(half_way.incident) in seen
    assert len(seen) == len(set(seen))


def test_verbs_of_an_actor_go_on_where_a_page_has_ended(big: None) -> None:
    with reading() as session:
        page = journal.page(session, actor_id=filling.SOURCE, verbs=["page.started"])
        assert (page.items, page.next is not None) == ([], True)
        pages = 1
        while page.next:
            page = journal.page(session, actor_id=filling.SOURCE, verbs=["page.started"], before=page.next)
            pages += 1
    assert pages > COUNT // lookback.AT_ONCE
    assert not page.items


@contextmanager
def _plans(session: Session) -> Iterator[list[Any]]:
    """What the database does for each statement of the block; PostgreSQL as if its tables were large."""
    asked: list[tuple[str, Any]] = []
    plans: list[Any] = []
    connection = session.connection()

    def hear(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", hear)
    try:
        yield plans
    finally:
        event.remove(connection, "before_cursor_execute", hear)
    if not db.is_postgres(session):
        for statement, parameters in asked:
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans.append([str(row[3]) for row in rows])
        return
    # A few thousand rows are cheaper read as a whole; what is left to choose is how it goes with a million.
    for way in ("seqscan", "bitmapscan"):
        connection.exec_driver_sql(f"SET LOCAL enable_{way} = off")
    for statement, parameters in asked:
        if statement.lstrip().upper().startswith("SELECT"):
            row = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters).one()
            plans.append(row[0][0]["Plan"])


def _walks(plan: Any) -> list[str]:
    """Where a plan reads a big table as a whole, or more than half of it (of two indexes PostgreSQL may take the other)."""
    if isinstance(plan, list):
        return [line for line in plan if re.match(rf"SCAN ({'|'.join(BIG)})\w*$", line)]
    found = [line for part in plan.get("Plans", ()) for line in _walks(part)]
    if plan.get("Relation Name") in BIG:
        read = (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
        if read > COUNT * 0.6:
            found.append(f"{plan['Node Type']} of {plan['Relation Name']} reads {read:.0f} rows")
    return found
