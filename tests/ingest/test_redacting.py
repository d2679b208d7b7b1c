"""A secret that a delivery names stays nowhere in the record: not in the alert, the journal, the search or the raw body."""

import json

import pytest
from delivered import deliver, everything_kept
from sqlalchemy import select

from connectors import registry
from core.db import reading, unit_of_work
from core.redaction import mask
from incidents import rules
from incidents.models import Alert, Incident
from ingest.models import Delivery

SECRET = "AKIA0EXAMPLE0NOT0REAL"
KEY_BODY = "bm90IGEgcmVhbC9rZXk="


def sample(product: str) -> bytes:
    """A sample of the catalogue, as its file says."""
    return registry.get(product).samples[0].body


@pytest.mark.parametrize("product", ["github", "gitleaks", "generic_json"])
def test_a_secret_stays_in_no_row(sender, drain, product: str) -> None:
    source = sender(connector=product).source
    body = sample(product) if product != "generic_json" else json.dumps(
        {"title": f"Key {SECRET} in a paste", "severity": "high", "Secret": SECRET, "Match": f"aws={SECRET}"}
    ).encode()  # fmt: skip
    assert SECRET.encode() in body
    with unit_of_work() as uow:
        rules.seed(uow)
    kept = deliver(source, body)
    assert SECRET.encode() in everything_kept(), "it was delivered"
    drain()
    left = everything_kept()
    for part in (SECRET, SECRET[5:], KEY_BODY):
        assert part.encode() not in left
    with reading() as session:
        delivery = session.get_one(Delivery, kept.id)
        assert mask(SECRET) in json.dumps(json.loads(delivery.body), ensure_ascii=False), (
            "it can still be read"
        )
        assert delivery.state == "processed"
        assert session.scalars(select(Alert)).first() is not None
        if product != "generic_json":
            assert session.scalars(select(Incident.category)).first() == "secret"


def test_a_delivery_that_was_redacted_reads_the_same_again(sender, drain) -> None:
    source = sender(connector="gitleaks").source
    kept = deliver(source, sample("gitleaks"))
    drain()
    with reading() as session:
        again = session.get_one(Delivery, kept.id)
        told = registry.get("gitleaks").alerts
        assert told is not None
        read = told.read(again.body, again.content_type, {}, {})
        prints = sorted((draft.title, draft.description) for draft in read.drafts)
        first = sorted((alert.title, alert.description) for alert in session.scalars(select(Alert)))
    assert prints == first
    assert read.secrets == ()


def test_a_body_that_hides_the_spelling_is_written_anew(sender, drain) -> None:
    spelt = json.dumps({"title": "Key in a paste", "severity": "high", "Secret": SECRET}).replace(
        "AKIA", "\\u0041KIA"
    )
    assert SECRET.encode() not in spelt.encode()
    kept = deliver(sender().source, spelt.encode())
    drain()
    with reading() as session:
        body = session.get_one(Delivery, kept.id).body
    assert json.loads(body)["Secret"] == mask(SECRET)
    assert SECRET[5:].encode() not in body
