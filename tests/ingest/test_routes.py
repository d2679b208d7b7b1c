"""The door answers each sender clearly, and 202 only for what is stored."""

import gzip
import hashlib
import hmac
import json

import pytest
from at_certificates import self_signed
from sqlalchemy import select

from connectors import blocklist
from connectors.models import BlocklistEntry
from core.actors import SYSTEM
from core.db import reading, unit_of_work
from core.errors import Unavailable
from core.settings import configure, settings
from ingest import inbox, known, sources
from ingest.models import Delivery
from ingest.tail import assembled

ALERT = {"title": "Disk full", "severity": "high", "host": "db-1"}


def stored() -> list[Delivery]:
    with reading() as session:
        return list(session.scalars(select(Delivery).order_by(Delivery.id)))


def assert_problem(response, status: int, *words: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    told = response.json()
    assert told["status"] == status
    for word in words:
        assert word in told["detail"]


def test_a_proven_delivery_is_stored_verbatim_and_gets_a_receipt(door, sender):
    tool = sender()
    body = json.dumps(ALERT, indent=3).encode()
    response = door.post(
        tool.path, content=body, headers={**tool.bearer, "X-Extra": "1", "Content-Type": "application/json"}
    )
    assert response.status_code == 202
    assert response.json()["status"] == "accepted"
    (row,) = stored()
    assert str(row.id) == response.json()["id"]
    assert bytes(row.body) == body
    assert row.content_type == "application/json"
    assert row.headers["x-extra"] == "1"
    assert tool.secret not in json.dumps(row.headers)
    assert row.digest == hashlib.sha256(body).digest()
    assert (row.state, row.size) == ("received", len(body))
    assert row.due_at is not None


def test_the_same_delivery_twice_is_one_with_one_receipt(door, sender, clock):
    tool = sender()
    first = door.post(tool.path, json=ALERT, headers=tool.bearer).json()
    again = door.post(tool.path, json=ALERT, headers=tool.bearer).json()
    assert again == {"id": first["id"], "receipt": first["id"], "status": "duplicate"}
    inbox.stop()  # what is remembered in memory is gone; the database knows
    assert door.post(tool.path, json=ALERT, headers=tool.bearer).json() == again
    assert len(stored()) == 1
    clock.advance(minutes=5, seconds=1)
    assert door.post(tool.path, json=ALERT, headers=tool.bearer).json()["status"] == "accepted"
    assert len(stored()) == 2


def test_a_vendors_number_makes_the_same_delivery_known_for_days(door, sender, clock):
    tool = sender("code", "github", proof="bearer")
    headers = {**tool.bearer, "X-GitHub-Delivery": "72d3162e", "X-GitHub-Event": "ping"}
    first = door.post(tool.path, json={"zen": "1"}, headers=headers).json()
    clock.advance(hours=20)
    assert door.post(tool.path, json={"zen": "2"}, headers=headers).json()["id"] == first["id"]
    headers["X-GitHub-Delivery"] = "other"
    assert door.post(tool.path, json={"zen": "1"}, headers=headers).json()["status"] == "accepted"


def test_a_senders_own_key_makes_the_same_delivery_known_for_days(door, sender, clock):
    tool, other = sender(), sender("other")
    headers = {**tool.bearer, "Idempotency-Key": "tail-1"}
    first = door.post(tool.path, json=ALERT, headers=headers).json()
    clock.advance(days=6)
    inbox.stop()
    again = door.post(tool.path, json=ALERT, headers=headers).json()
    assert again == {"id": first["id"], "receipt": first["id"], "status": "duplicate"}
    headers["Idempotency-Key"] = "tail-2"
    assert door.post(tool.path, json=ALERT, headers=headers).json()["status"] == "accepted"
    assert (
        door.post(other.path, json=ALERT, headers={**headers, **other.bearer}).json()["status"] == "accepted"
    )
    headers["Idempotency-Key"] = "x" * 256
    assert_problem(door.post(tool.path, json=ALERT, headers=headers), 422, "at most 255 characters")
    assert len(stored()) == 3


def test_the_tail_is_handed_out_to_anybody(door):
    answer = door.request("GET", "/tail.py")
    assert answer.status_code == 200
    assert answer.text == assembled.text()
    assert answer.headers["etag"] == f'"{assembled.digest()}"'
    assert "tocsin_tail.py" in answer.headers["content-disposition"]
    assert door.request("POST", "/tail.py").status_code == 404


def test_a_certificate_of_our_own_is_handed_out_to_anybody_without_its_key(door, tmp_path):
    assert door.request("GET", "/certificate.pem").status_code == 404
    certificate, _fingerprint = self_signed(tmp_path, "10.0.0.5")
    assert "PRIVATE KEY" in certificate.read_text()
    configure(settings().with_(tls_certificate=certificate))
    answer = door.request("GET", "/certificate.pem")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-pem-file")
    assert "PRIVATE" not in answer.text
    assert answer.text in certificate.read_text()
    assert door.request("POST", "/certificate.pem").status_code == 404


def test_the_same_body_at_two_sources_is_two_deliveries(door, sender):
    one, two = sender("one"), sender("two")
    door.post(one.path, json=ALERT, headers=one.bearer)
    assert door.post(two.path, json=ALERT, headers=two.bearer).json()["status"] == "accepted"


def test_unknown_and_disabled_sources_are_told_apart(door, sender):
    tool = sender()
    assert_problem(door.post("/ingest/nobody", json=ALERT), 404, "'nobody'", "source add")
    with unit_of_work() as uow:
        sources.disable(uow, SYSTEM, tool.source.id)
    assert_problem(door.post(tool.path, json=ALERT, headers=tool.bearer), 403, "disabled")
    assert stored() == []


def test_what_is_unproven_is_refused_and_not_kept(door, sender):
    tool = sender()
    response = door.post(tool.path, json=ALERT)
    assert_problem(response, 401, "Authorization: Bearer")
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert_problem(
        door.post(tool.path, json=ALERT, headers={"Authorization": "Bearer wrong"}), 401, "not one of"
    )
    assert_problem(door.post(f"{tool.path}/{tool.secret}", json=ALERT), 401)
    assert stored() == []


def test_a_token_in_the_url_is_taken_and_never_stored(door, sender):
    tool = sender(proof="url_token")
    assert tool.source.trust == "low"
    assert door.post(f"{tool.path}/{tool.secret}", json=ALERT).status_code == 202
    assert (
        door.post(f"{tool.path}?token={tool.secret}", json={"title": f"x {tool.secret}"}).status_code == 202
    )
    assert_problem(door.post(f"{tool.path}/wrong", json=ALERT), 401, "not one of")
    for row in stored():
        assert tool.secret.encode() not in bytes(row.body)
        assert tool.secret not in json.dumps(row.headers)


def test_a_signature_over_the_raw_bytes_proves(door, sender):
    tool = sender("code", "github")
    assert (tool.source.proof, tool.source.trust) == ("hmac", "high")
    body = b'{"zen":  "raw bytes"}'
    signature = "sha256=" + hmac.new(tool.secret.encode(), body, hashlib.sha256).hexdigest()
    assert door.post(tool.path, content=body, headers={"X-Hub-Signature-256": signature}).status_code == 202
    assert_problem(
        door.post(tool.path, content=body + b" ", headers={"X-Hub-Signature-256": signature}),
        401,
        "does not match",
    )
    assert_problem(door.post(tool.path, content=body), 401, "x-hub-signature-256 is missing")


def test_two_secrets_live_while_one_is_rotated(door, sender):
    tool = sender()
    with unit_of_work() as uow:
        second = sources.rotate(uow, SYSTEM, tool.source.id)
    for n, secret in enumerate((tool.secret, second)):
        assert (
            door.post(tool.path, json={"n": n}, headers={"Authorization": f"Bearer {secret}"}).status_code
            == 202
        )
    with unit_of_work() as uow:
        third = sources.rotate(uow, SYSTEM, tool.source.id)
    assert door.post(tool.path, json=ALERT, headers=tool.bearer).status_code == 401
    for n, secret in enumerate((second, third), start=2):
        assert (
            door.post(tool.path, json={"n": n}, headers={"Authorization": f"Bearer {secret}"}).status_code
            == 202
        )


def test_what_is_too_large_is_refused_and_its_metadata_kept(door, sender):
    tool = sender()
    response = door.post(tool.path, content=b"x" * (1024 * 1024 + 1), headers=tool.bearer)
    assert_problem(response, 413, "1048576 bytes")
    (row,) = stored()
    assert (row.state, bytes(row.body), row.size) == ("refused", b"", 1024 * 1024 + 1)
    assert row.due_at is None


def test_gzip_is_undone_and_a_bomb_refused(door, sender):
    tool = sender()
    headers = {**tool.bearer, "Content-Encoding": "gzip"}
    assert door.post(tool.path, content=gzip.compress(b'{"title": "x"}'), headers=headers).status_code == 202
    assert bytes(stored()[0].body) == b'{"title": "x"}'
    assert_problem(
        door.post(tool.path, content=gzip.compress(b" " * 30_000_000), headers=headers), 413, "Unpacked"
    )
    assert_problem(door.post(tool.path, content=b"plain", headers=headers), 422, "Content-Encoding")
    headers["Content-Encoding"] = "br"
    assert_problem(door.post(tool.path, content=b"plain", headers=headers), 415, "br")


def test_what_cannot_be_read_is_kept_and_called_quarantined(door, sender):
    tool = sender()
    response = door.post(tool.path, content=b"{oops", headers=tool.bearer)
    assert (response.status_code, response.json()["status"]) == (202, "quarantined")
    assert bytes(stored()[0].body) == b"{oops"
    lines = door.post(tool.path, content=b'{"title":"a"}\n{"title":"b"}', headers=tool.bearer)
    assert lines.json()["status"] == "accepted"
    assert_problem(door.post(tool.path, content=b" ", headers=tool.bearer), 422, "empty")


def test_overload_and_a_lost_database_answer_503_with_a_time_to_come_back(door, sender, monkeypatch):
    tool = sender()
    monkeypatch.setattr(inbox, "MOST_WAITING", 0)
    response = door.post(tool.path, json=ALERT, headers=tool.bearer)
    assert_problem(response, 503, "waiting to be stored")
    assert response.headers["retry-after"] == "2"
    monkeypatch.undo()

    def away(arrivals):
        raise Unavailable("away")

    monkeypatch.setattr(inbox, "store", away)
    response = door.post(tool.path, json=ALERT, headers=tool.bearer)
    assert_problem(response, 503, "database cannot be reached")
    assert response.headers["retry-after"] == "5"
    monkeypatch.undo()
    assert door.post(tool.path, json=ALERT, headers=tool.bearer).json()["status"] == "accepted"


def test_nothing_else_is_answered(door, sender):
    assert_problem(door.request("GET", sender().path), 405, "GET")
    assert_problem(door.post("/ingest/tool/a/b"), 404)


def test_a_block_list_is_handed_out_with_what_caches_need(door):
    with unit_of_work() as uow:
        _, url = blocklist.create_feed(uow, SYSTEM, name="edge", kind="ip")
        uow.add(BlocklistEntry(kind="ip", value="203.0.113.9", key="k", created_at=uow.now))
    path = url.removeprefix("http://tocsin.test")
    first = door.request("GET", path)
    assert (first.status_code, first.text) == (200, "203.0.113.9\n")
    assert first.headers["content-type"].startswith("text/plain")
    assert first.headers["last-modified"].endswith(" GMT")
    again = door.request("GET", path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert_problem(door.request("GET", "/feeds/guess.txt"), 404, "block list")


# ------------------------------------------------------------------------------------------------ PagerDuty

EVENT = {
    "event_action": "trigger",
    "payload": {"summary": "Disk full on db-1", "source": "db-1", "severity": "critical"},
}


@pytest.fixture
def pager(sender):
    return sender("paging", "pagerduty_v2")


def test_an_event_is_taken_as_pagerduty_takes_it(door, pager):
    assert len(pager.secret) == 32
    event = {**EVENT, "routing_key": pager.secret, "dedup_key": "disk/db-1"}
    response = door.post("/v2/enqueue", json=event)
    assert response.status_code == 202
    told = response.json()
    assert (told["status"], told["message"], told["dedup_key"]) == ("success", "Event processed", "disk/db-1")
    (row,) = stored()
    assert pager.secret.encode() not in bytes(row.body)
    assert json.loads(row.body)["dedup_key"] == "disk/db-1"


def test_an_event_without_a_key_is_given_one_that_the_alert_carries(door, pager):
    event = {**EVENT, "routing_key": pager.secret}
    made = door.post("/v2/enqueue", json=event).json()["dedup_key"]
    assert json.loads(stored()[0].body)["dedup_key"] == made
    assert door.post("/v2/enqueue", json=event).json()["dedup_key"] == made
    assert len(stored()) == 1


def test_a_relapse_with_the_same_bytes_is_no_retry(door, pager, clock):
    down = {**EVENT, "routing_key": pager.secret, "dedup_key": "k"}
    up = {"routing_key": pager.secret, "event_action": "resolve", "dedup_key": "k"}
    for event in (down, up, down):
        door.post("/v2/enqueue", json=event)
        clock.advance(seconds=20)
    assert len(stored()) == 3


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"routing_key": ""}, "routing_key"),
        ({"routing_key": "0" * 32}, "not the key of a source"),
        ({"event_action": "explode"}, "event_action"),
        ({"payload": None}, "'payload' is missing"),
        ({"payload": {"summary": "s", "source": "x", "severity": "bad"}}, "payload.severity"),
        ({"event_action": "resolve"}, "dedup_key"),
        ({"dedup_key": "x" * 256}, "255"),
    ],
)
def test_an_invalid_event_is_refused_in_pagerdutys_words(door, pager, change, word):
    response = door.post("/v2/enqueue", json={**EVENT, "routing_key": pager.secret, **change})
    assert response.status_code == 400
    told = response.json()
    assert (told["status"], told["message"]) == ("invalid event", "Event object is invalid")
    assert any(word in problem for problem in told["errors"])
    assert stored() == []


def test_an_event_over_512_kilobytes_is_too_large(door, pager):
    event = {**EVENT, "routing_key": pager.secret, "x": "y" * 524_288}
    assert_problem(door.post("/v2/enqueue", json=event), 413)


def test_a_source_that_another_process_has_just_added_is_taken(door, sender, monkeypatch):
    monkeypatch.setattr(known, "LEAST_SECONDS", 0.0)
    sender(name="first")
    assert known.named("first") is not None
    monkeypatch.setattr(known, "forget", lambda: None)  # adding it elsewhere tells this process nothing
    made = sender(name="second")
    monkeypatch.undo()
    monkeypatch.setattr(known, "LEAST_SECONDS", 0.0)
    answer = door.post("/ingest/second", json={"title": "Rang at once"}, headers=made.bearer)
    assert answer.status_code == 202
