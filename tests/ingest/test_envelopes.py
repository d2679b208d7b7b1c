"""What surrounds an alert is undone safely and kept without credentials."""

import gzip
import os
import time
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Invalid, TooLarge
from ingest.envelopes import (
    UnknownCoding,
    form_payload,
    looks_like_json,
    safe_headers,
    undo_coding,
    vendor_id,
    without,
)

MIB = 1024 * 1024


@given(st.binary(max_size=5000))
def test_gzip_and_deflate_are_undone(body):
    assert undo_coding(gzip.compress(body), "gzip", MIB) == body
    assert undo_coding(zlib.compress(body), "deflate", MIB) == body
    assert undo_coding(gzip.compress(gzip.compress(body)), "gzip, gzip", MIB) == body
    assert undo_coding(gzip.compress(body) + gzip.compress(body), "x-gzip", MIB) == body + body
    assert undo_coding(body, None, MIB) == body


@given(st.binary(max_size=500))
def test_any_bytes_as_gzip_end_well(body):
    try:
        undo_coding(body, "gzip", MIB)
    except Invalid:
        return


def test_a_gzip_bomb_is_refused_at_the_limit():
    with pytest.raises(TooLarge):
        undo_coding(gzip.compress(b"\0" * 50 * MIB), "gzip", MIB)
    assert len(undo_coding(gzip.compress(b"\0" * MIB), "gzip", MIB)) == MIB


def test_a_broken_or_unknown_coding_is_told():
    with pytest.raises(Invalid, match="too early"):
        undo_coding(gzip.compress(b"x" * 10000)[:-12], "gzip", MIB)
    with pytest.raises(Invalid, match="as its Content-Encoding says"):
        undo_coding(b"plain", "gzip", MIB)
    with pytest.raises(UnknownCoding, match="br is not understood"):
        undo_coding(b"plain", "br", MIB)


def test_credentials_are_not_kept():
    headers = [
        (b"Authorization", b"Bearer s3cret"), (b"Cookie", b"a=b"), (b"X-Gitlab-Token", b"s3cret"),
        (b"X-Api-Key", b"k"), (b"User-Agent", b"Wazuh\x00/4"), (b"X-Original-URL", b"/ingest/w/s3cret"),
        (b"X-GitHub-Event", b"ping"), (b"X-Hub-Signature-256", b"sha256=ab"),
    ]  # fmt: skip
    kept = safe_headers(headers, ("s3cret",))
    assert kept == {
        "user-agent": "Wazuh/4", "x-original-url": "/ingest/w/••••", "x-github-event": "ping",
        "x-hub-signature-256": "sha256=ab",
    }  # fmt: skip


def test_a_secret_in_a_body_is_starred_out_in_place():
    assert without(b'{"routing_key":"abc","x":"abcd"}', "abc") == b'{"routing_key":"***","x":"***d"}'


def test_the_vendors_number_is_found():
    assert vendor_id("x-github-delivery", {"x-github-delivery": "g1"}, b"") == "g1"
    assert vendor_id("x-github-delivery", {}, b"{}") is None
    assert vendor_id("eventId", {}, b'{"eventId": "e1"}') == "e1"
    assert vendor_id("event.id", {}, b'{"event": {"id": 7}}') == "7"
    assert vendor_id("event.id", {}, b'{"event": []}') is None
    assert vendor_id("eventId", {}, b"not json") is None
    assert vendor_id(None, {}, b'{"id": 1}') is None
    assert vendor_id(None, {"x-amz-sns-message-id": "m1"}, b"") == "sns:m1"


def test_a_document_in_a_form_is_found():
    kind = "application/x-www-form-urlencoded; charset=utf-8"
    assert form_payload(b"payload=%7B%22a%22%3A1%7D", kind) == b'{"a":1}'
    assert form_payload(b"payload=words", kind) is None
    assert form_payload(b"payload=%7B%7D", "application/json") is None


def test_json_is_recognised():
    assert looks_like_json(b'{"a": [1, 2]}')
    assert not looks_like_json(b"{oops")
    assert not looks_like_json(b'{"a": 1}\n{"a": 2}')


def test_a_body_of_a_million_little_pieces_costs_next_to_nothing() -> None:
    """Each piece once copied all that was left: minutes of the door's time for ten megabytes."""
    began = time.process_time()
    with pytest.raises(Invalid, match="pieces"):
        undo_coding(gzip.compress(b"") * 500_000, "gzip", 10 * MIB)
    assert time.process_time() - began < 5
    some = gzip.compress(b"a line\n") * 900 + gzip.compress(os.urandom(3 * MIB))
    assert len(undo_coding(some + b"\0" * 512, "gzip", 10 * MIB)) == 900 * 7 + 3 * MIB
