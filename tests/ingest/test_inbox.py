"""Many deliveries share a commit; each is answered after it, and none is lost or stored twice."""

from collections import Counter
from uuid import uuid4

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import DataError, OperationalError

from core import db
from core.db import reading
from ingest import inbox, storing
from ingest.models import Delivery
from ingest.storing import Arrival, Receipt, body_key, id_key


def arrival(source, n: int, key: bytes | None = None) -> Arrival:
    body = f'{{"title": "{n}"}}'.encode()
    return Arrival(
        source_id=source.id, body=body, content_type="application/json", headers={}, key=key or body_key(body)
    )


def stored() -> int:
    with reading() as session:
        return session.scalar(select(func.count()).select_from(Delivery)) or 0


def test_a_batch_is_one_commit_with_a_receipt_each_in_order(sender):
    source = sender().source
    batch = [arrival(source, n % 50) for n in range(100)]
    receipts = storing.store(batch)
    assert [receipt.duplicate for receipt in receipts] == [False] * 50 + [True] * 50
    assert [receipt.id for receipt in receipts[:50]] == [receipt.id for receipt in receipts[50:]]
    assert stored() == 50
    again = storing.store([arrival(source, n % 50) for n in range(100)])
    assert [receipt.id for receipt in again] == [receipt.id for receipt in receipts]
    assert all(receipt.duplicate for receipt in again)
    assert storing.store(batch) == receipts  # the writer's own second try
    assert stored() == 50


def test_hundreds_at_once_are_each_stored_once(door, sender):
    tool = sender()
    requests = [(tool.path, {"json": {"n": n % 150}, "headers": tool.bearer}) for n in range(300)]
    answers = door.post_many(requests)
    assert {answer.status_code for answer in answers} == {202}
    assert stored() == 150
    statuses = Counter(answer.json()["status"] for answer in answers)
    assert statuses == {"accepted": 150, "duplicate": 150}
    ids = {n: {answers[n].json()["id"], answers[n + 150].json()["id"]} for n in range(150)}
    assert all(len(pair) == 1 for pair in ids.values())


def test_one_delivery_that_cannot_be_stored_stops_no_other(door, sender, monkeypatch):
    tool = sender()
    keep = storing._keep

    def refuses(arrivals):
        if any(b"poison" in arrival.body for arrival in arrivals):
            raise DataError("insert", {}, ValueError("poison"))
        return keep(arrivals)

    monkeypatch.setattr(storing, "_keep", refuses)
    bodies = [{"n": n} for n in range(20)] + [{"n": "poison"}]
    answers = door.post_many([(tool.path, {"json": body, "headers": tool.bearer}) for body in bodies])
    assert Counter(answer.status_code for answer in answers) == {202: 20, 503: 1}
    assert stored() == 20


def test_nothing_is_acknowledged_when_the_commit_fails(door, sender, monkeypatch):
    tool = sender()

    def lost(*_):
        raise OperationalError("COMMIT", {}, ConnectionError("gone"))

    with monkeypatch.context() as patched:
        patched.setattr(db.UnitOfWork, "commit", lost)
        patched.setattr(db, "at_once", lost)
        answer = door.post(tool.path, json={"n": 1}, headers=tool.bearer)
    assert answer.status_code == 503
    assert stored() == 0
    assert door.post(tool.path, json={"n": 1}, headers=tool.bearer).json()["status"] == "accepted"
    assert stored() == 1


def test_a_source_known_before_stays_known_while_the_database_is_away(door, sender, monkeypatch):
    tool = sender()
    assert door.post(tool.path, json={"n": 1}, headers=tool.bearer).status_code == 202

    def away():
        raise OperationalError("SELECT", {}, ConnectionError("gone"))

    from ingest import known

    monkeypatch.setattr(known, "_read", away)
    monkeypatch.setattr(known, "REFRESH_SECONDS", 0)
    assert door.post(tool.path, json={"n": 2}, headers=tool.bearer).status_code == 202
    known.forget()
    answer = door.post(tool.path, json={"n": 3}, headers=tool.bearer)
    assert answer.status_code == 503
    assert "retry-after" in answer.headers


@pytest.mark.parametrize("size", [1, 700])
def test_stopping_stores_what_waits(sender, size):
    import asyncio

    source = sender().source

    async def send() -> list[Receipt]:
        waiting = [asyncio.create_task(inbox.accept(arrival(source, n))) for n in range(size)]
        await asyncio.sleep(0)
        await asyncio.to_thread(inbox.stop)
        return await asyncio.gather(*waiting)

    receipts = asyncio.run(send())
    assert len({receipt.id for receipt in receipts}) == size
    assert stored() == size


def test_ids_and_bodies_never_share_a_key():
    assert id_key("x") != body_key(b"x")
    assert len({id_key(str(uuid4())) for _ in range(100)}) == 100
