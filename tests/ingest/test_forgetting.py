"""What is old is forgotten in small bites: what goes, what stays, how long others wait for it, and what is told."""

import threading
import time

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from core import bulk, facts, journal, retention
from core.auth.models import User, UserSession
from core.db import reading, unit_of_work
from core.ids import new_id
from core.retention import BITE, Round
from core.settings import configure, settings
from incident_bench import draft, low, take
from incidents import indexing, upkeep
from incidents.models import Alert, AlertDelivery, Incident, SearchWord, Sighting, Upkeep
from ingest.models import Delivery, DeliveryKey
from notify.models import InboxItem

pytestmark = pytest.mark.usefixtures("database")
OLD = timedelta(days=100)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "PAUSE", 0.002)
    monkeypatch.setattr(retention, "TURN", 60.0)


def made(ago: timedelta) -> UUID:
    """An id as it was made that long ago."""
    at = datetime.now(UTC) - ago
    return UUID(int=retention.first_id(at).int | new_id().int % (1 << 80))


def delivery(ago: timedelta, **values: Any) -> dict[str, Any]:
    at = datetime.now(UTC) - ago
    given = {
        "id": made(ago), "received_at": at, "source_id": UUID(int=1), "body": b"x" * 1024, "content_type": "application/json",
        "headers": {}, "digest": b"d" * 32, "size": 1024, "peer": None, "state": "processed", "reason": None, "alerts": 1,
        "ignored": 0, "replays": 0, "processed_at": at, "due_at": None, "lease_until": None, "fence": 1, "attempts": 0,
        "error": None, "parked_at": None,
    }  # fmt: skip
    return given | values


def stored(*rows: dict[str, Any]) -> list[UUID]:
    with unit_of_work() as uow:
        bulk.insert(uow, Delivery.__table__, rows)
    return [row["id"] for row in rows]


def number(model: Any) -> int:
    with reading() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


def left() -> set[UUID]:
    with reading() as session:
        return set(session.scalars(select(Delivery.id)))


def told() -> dict[str, int]:
    with reading() as session:
        entries = journal.entries(session, verbs=[facts.FORGOTTEN.name])
    return {entry.body["what"]: entry.body["count"] for entry in entries}


def test_old_bodies_go_and_young_waiting_or_parked_ones_stay() -> None:
    at = datetime.now(UTC)
    gone = stored(delivery(OLD), delivery(OLD, state="ignored"), delivery(OLD, state="refused"), delivery(OLD, state="quarantined"))
    kept = stored(
        delivery(timedelta(days=80)), delivery(timedelta(days=80), state="quarantined"), delivery(OLD, state="received", due_at=at),
        delivery(OLD, parked_at=at),
    )  # fmt: skip
    assert not Round().turn()
    assert left() == set(kept)
    assert told() == {"deliveries": len(gone)}


def test_what_an_incident_rests_on_stays() -> None:
    (evidence, noise) = stored(delivery(OLD), delivery(OLD))
    case, kept = take(draft(), low(fingerprint=(("a", "1"),)))
    with unit_of_work() as uow:
        for alert, of in ((case, evidence), (kept, noise)):
            uow.query(AlertDelivery).filter(AlertDelivery.alert_id == alert.alert_id).update(
                {"delivery_id": of}
            )
    Round().turn()
    assert left() == {evidence}


def test_nothing_goes_where_everything_is_kept_for_ever() -> None:
    configure(settings().with_(keep_deliveries=None))
    kept = stored(delivery(timedelta(days=5000)))
    Round().turn()
    assert left() == set(kept)


def test_ended_alerts_without_an_incident_go_with_what_was_noted_of_them() -> None:
    configure(settings().with_(keep_alerts=timedelta(days=30)))
    case, still_open, ended = take(
        draft(), low(fingerprint=(("a", "1"),)), low(fingerprint=(("b", "1"),), title="Forgettable")
    )
    with unit_of_work() as uow:
        indexing.index_alerts(uow)
    with unit_of_work() as uow:
        long_ago = uow.now - OLD
        for one in (case, ended):
            uow.query(Alert).filter(Alert.id == one.alert_id).update(
                {"ended_at": long_ago, "ended_by": "quiet"}
            )
    assert number(Alert) == 3
    # Their ids are of today: nothing so young is looked at, whatever its row says.
    assert not Round().turn()
    assert number(Alert) == 3
    _age(ended.alert_id, still_open.alert_id)
    Round().turn()
    with reading() as session:
        assert set(session.scalars(select(Alert.ended_by))) == {"quiet", None}
        assert session.scalar(select(func.count()).where(SearchWord.word == "forgettable")) == 0
    assert number(Alert) == 2
    assert number(Incident) == 1
    assert told() == {"alerts": 1}


def _age(*alerts: UUID) -> None:
    """Give alerts ids of long ago, as if they had been made then."""
    for alert in alerts:
        old = made(OLD)
        with unit_of_work() as uow:
            row = uow.get_one(Alert, alert)
            copy = {c.key: getattr(row, c.key) for c in Alert.__table__.columns} | {
                "id": old,
                "fingerprint": uuid4().hex,
            }
            uow.add(Alert(**copy))
            uow.flush()
            for model, key in ((Sighting, Sighting.alert_id), (AlertDelivery, AlertDelivery.alert_id)):
                uow.query(model).filter(key == alert).update({key: old})
            uow.query(SearchWord).filter(SearchWord.thing_id == alert).update({"thing_id": old})
            uow.delete(row)


def test_sessions_keys_and_read_notices_go() -> None:
    with unit_of_work() as uow:
        user = User(id=new_id(), created_at=uow.now, version=1, email="a@example.org", name="A", roles=[])
        uow.add(user)
        uow.flush()
        for days in (1, 40):
            at = uow.now - timedelta(days=days)
            uow.add(
                UserSession(
                    id=made(timedelta(days=days)), created_at=at, user_id=user.id, digest=uuid4().bytes, expires_at=at,
                    seen_at=at,
                )
            )  # fmt: skip
        for read in (None, uow.now - OLD):
            uow.add(
                InboxItem(
                    id=made(OLD), created_at=uow.now - OLD, user_id=user.id, attempt=new_id(), kind="page", title="t",
                    text="", link="", severity="low", read_at=read,
                )
            )  # fmt: skip
        for minutes in (-60, 60):
            uow.add(
                DeliveryKey(
                    source_id=UUID(int=1), key=uuid4().bytes, delivery_id=new_id(),
                    expires_at=uow.now + timedelta(minutes=minutes),
                )
            )  # fmt: skip
    Round().turn()
    assert (number(UserSession), number(InboxItem), number(DeliveryKey)) == (1, 1, 1)
    assert told() == {"sessions": 1, "inbox": 1, "delivery keys": 1}


def test_a_turn_ends_and_the_next_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    stored(*[delivery(OLD) for _ in range(3 * BITE)])
    monkeypatch.setattr(retention, "TURN", 0.0)
    whole = Round()
    assert whole.turn()
    assert number(Delivery) == 3 * BITE, "a turn without time forgets nothing"
    monkeypatch.setattr(retention, "TURN", 60.0)
    assert not whole.turn()
    assert number(Delivery) == 0


@pytest.fixture
def units(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long each of the forgetting's transactions lasted, in CPU milliseconds of its thread and by the clock."""
    lasted: list[float] = []
    real = retention.unit_of_work

    class Timed:
        def __enter__(self) -> Any:
            self.inner = real()
            uow = self.inner.__enter__()
            self.began = time.perf_counter()
            return uow

        def __exit__(self, *error: object) -> Any:
            done = self.inner.__exit__(*error)
            lasted.append((time.perf_counter() - self.began) * 1e3)
            return done

    monkeypatch.setattr(retention, "unit_of_work", Timed)
    return lasted


def test_no_lock_is_held_for_long_and_others_write_meanwhile(units: list[float]) -> None:
    """Ten thousand bodies go while somebody stores others."""
    for _ in range(10):
        stored(*[delivery(OLD) for _ in range(1000)])
    over = threading.Event()
    waited: list[float] = []

    def door() -> None:
        while not over.is_set():
            row = delivery(timedelta(0))
            began = time.perf_counter()
            stored(row)
            waited.append((time.perf_counter() - began) * 1e3)

    beside = threading.Thread(target=door)
    beside.start()
    try:
        assert not Round().turn()
    finally:
        over.set()
        beside.join()
    assert len(left()) == len(waited) > 20
    assert told()["deliveries"] == 10_000
    longest, usual = max(units), sorted(units)[len(units) // 2]
    print(f"\n{len(units)} transactions, half under {usual:.1f} ms, longest {longest:.1f}; "
          f"the door stored {len(waited)}, longest {max(waited):.1f} ms")  # fmt: skip
    assert len(units) >= 10_000 / BITE
    assert usual < 50


def test_it_is_a_chore_that_comes_back_sooner_where_it_was_cut_off(
    monkeypatch: pytest.MonkeyPatch, clock: Any, drain: Any
) -> None:
    monkeypatch.setattr(retention, "TURN", 0.0)
    stored(delivery(OLD, id=UUID(int=retention.first_id(clock.now - OLD).int + 1)))
    with unit_of_work() as uow:
        upkeep.seed(uow)
    drain("incidents.upkeep")
    assert _due() - clock.now == timedelta(seconds=1)
    assert number(Delivery) == 1
    monkeypatch.setattr(retention, "TURN", 60.0)
    clock.advance(seconds=2)
    drain("incidents.upkeep")
    assert _due() - clock.now == timedelta(hours=1)
    assert number(Delivery) == 0


def _due() -> datetime:
    with reading() as session:
        due = session.scalar(select(Upkeep.due_at).where(Upkeep.name == "forget what is old"))
        assert due is not None
        return due
