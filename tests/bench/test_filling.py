"""A database that was filled for measuring holds what the real pages and queries find."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import func, inspect, select

from bench import filling, pouring
from core import db
from core.actors import SYSTEM
from core.db import reading
from core.journal import entries
from core.types import Ref
from incidents import queries, search
from incidents.filters import AlertFilter, IncidentFilter
from incidents.models import Alert, Incident, SearchWord, Sighting

BASE = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
COUNT = 450


@pytest.fixture
def filled(database: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Filled in two goes."""
    monkeypatch.setattr(filling, "HOSTS", 40)
    monkeypatch.setattr(filling, "ADDRESSES", 60)
    before = _shape()
    pouring.pour(db.engine(), BASE, 0, 200)
    pouring.pour(db.engine(), BASE, 200, COUNT)
    assert _shape() == before, "an index or a key was lost"


def test_the_pages_find_it(filled: None) -> None:
    newest = next(filling.cases(BASE, [0], pouring.AS_POSTGRES))
    with reading() as session:
        opened = queries.incidents(session, SYSTEM, IncidentFilter())
        assert len(opened.items) == -(-COUNT // filling.OPEN_ONE_IN)
        seen: list[str] = []
        cursor = None
        while True:
            page = queries.incidents(session, SYSTEM, IncidentFilter(state="all"), before=cursor)
            seen += [one.key for one in page.items]
            if not (cursor := page.next):
                break
        assert seen[0] == newest.key
        assert len(set(seen)) == COUNT
        one = queries.incident(session, SYSTEM, newest.key)
        assert (one.title, one.created_at) == (newest.title, BASE)
        assert [
            alert.incident_id for alert in queries.alerts(session, SYSTEM, AlertFilter(incident=one.id)).items
        ] == [one.id]
        assert [entry.verb for entry in entries(session, ref=Ref("incident", str(one.id)))] == [
            "incident.opened"
        ]
        assert queries.facts(session, one.id)["host"] == newest.host


def test_the_search_box_finds_it(filled: None) -> None:
    newest = next(filling.cases(BASE, [0], pouring.AS_POSTGRES))
    with reading() as session:
        for words in (newest.key, newest.address, newest.title, f"{newest.category} {newest.host}"):
            if words.startswith(("policy", "intrusion", "availability", "web_attack")):
                continue  # these categories are not words of their titles
            found = [hit.key for hit in search.search(session, SYSTEM, words)]
            assert newest.key in found, words


def test_each_alert_has_what_a_real_one_has(filled: None) -> None:
    with reading() as session:
        assert session.scalar(select(func.count()).select_from(Alert)) == COUNT
        assert session.scalar(select(func.count()).select_from(Sighting)) == 4 * COUNT
        assert session.scalar(select(func.count(func.distinct(SearchWord.thing_id)))) == 2 * COUNT
        both = select(Alert.ended_at.is_(None), Incident.closed_at.is_(None))
        states = set(session.execute(both.join(Incident, Incident.id == Alert.incident_id)).all())
    assert {(bool(alert), bool(incident)) for alert, incident in states} == {(True, True), (False, False)}


def test_a_number_always_gives_the_same_case() -> None:
    again = list(filling.cases(BASE, range(30), pouring.AS_POSTGRES))
    assert again == list(filling.cases(BASE, range(30), pouring.AS_POSTGRES))
    ids = [one for case in again for one in (case.alert, case.incident, case.delivery, case.entry)]
    assert len(set(ids)) == 120
    assert all(len(one) == 32 and one[12] == "7" and one[16] == "8" for one in ids)


def _shape() -> dict[str, list[object]]:
    """Every index and key of the tables that are filled."""
    look = inspect(db.engine())
    return {
        one.table.name: [
            sorted(str(index["name"]) for index in look.get_indexes(one.table.name)),
            look.get_pk_constraint(one.table.name)["constrained_columns"],
            sorted(str(key["name"]) for key in look.get_unique_constraints(one.table.name)),
        ]
        for one in filling.FILLINGS
    }
