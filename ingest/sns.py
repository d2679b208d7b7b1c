"""Amazon SNS: checks that a message is Amazon's own and from a topic we know, and notes topics that ask to be confirmed."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select

from core import clock
from core.db import UnitOfWork
from core.errors import Forbidden, Unauthenticated, Unavailable
from core.net import NetError, http
from ingest.known import KnownSource
from ingest.models import Source, Subscription
from ingest.verify import MENDING, ProofKind, sns_signature_problem, sns_url_problem

_MOST_CERTIFICATES = 100
_certificates: dict[str, bytes] = {}
_ENVELOPES = ("Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation")


@dataclass(frozen=True)
class SubscriptionDraft:
    """A topic's wish to be confirmed, as it stood in a delivery."""

    topic: str
    url: str


def envelope_in(body: bytes) -> dict[str, Any] | None:
    """The SNS message that a body is, or None."""
    if b'"TopicArn"' not in body:
        return None
    try:
        found: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found if isinstance(found, dict) and found.get("Type") in _ENVELOPES else None


def subscription_in(body: bytes) -> SubscriptionDraft | None:
    """The request for confirmation that a body is, or None. Its address is not judged here, and never fetched unasked."""
    message = envelope_in(body)
    if message is None or message["Type"] != "SubscriptionConfirmation":
        return None
    return SubscriptionDraft(
        str(message.get("TopicArn", ""))[:500], str(message.get("SubscribeURL", ""))[:4000]
    )


def prove(source: KnownSource, body: bytes) -> None:
    """Check Amazon's signature and that the topic is one of this source's. Blocks: may fetch a certificate once.

    Anybody can have Amazon sign a message of a topic of their own, so the topic counts as much as the signature:
    `topics` in the source's settings, filled by confirming a subscription. Raises Unauthenticated, Forbidden.
    """
    message = envelope_in(body)
    if message is None:
        raise Unauthenticated(f"This is not a message of Amazon SNS. {MENDING[ProofKind.SNS]}")
    problem = sns_url_problem(message.get("SigningCertURL"), certificate=True)
    if problem is None:
        problem = sns_signature_problem(message, _certificate(message["SigningCertURL"]), clock.now())
    if problem is not None:
        raise Unauthenticated(f"Amazon's signature does not hold: {problem}.")
    topics = source.config.get("topics") or []
    if message["Type"] == "Notification" and message.get("TopicArn") not in topics:
        raise Forbidden(
            f"The topic {str(message.get('TopicArn'))[:200]} is not confirmed for the source {source.name}: confirm its "
            "subscription on the source's page, or add it to the source's `topics`."
        )


def _certificate(url: str) -> bytes:
    """The certificate at an address that has been judged; fetched once."""
    held = _certificates.get(url)
    if held is None:
        held = fetch(url, "Amazon's signing certificate could not be fetched")
        if len(_certificates) >= _MOST_CERTIFICATES:
            _certificates.clear()
        _certificates[url] = held
    return held


def fetch(url: str, otherwise: str) -> bytes:
    """What an address of Amazon's answers; the caller has judged it. Raises Unavailable, beginning with `otherwise`."""
    limits = http.Timeout(connect=3, read=5, total=8)
    try:
        answer = http.send(http.Request(url=url, timeout=limits, max_response=64 * 1024))
    except NetError as error:
        raise Unavailable(f"{otherwise}: {error.message}.", retry_after=30) from error
    if not answer.ok:
        raise Unavailable(f"{otherwise}: Amazon answered {answer.status}.", retry_after=30)
    return answer.content


def keep(uow: UnitOfWork, source: Source, delivery_id: UUID, draft: SubscriptionDraft) -> None:
    """Note that a topic wants to be confirmed, once per topic; shown on the source's page."""
    there = uow.scalar(
        select(Subscription).where(Subscription.source_id == source.id, Subscription.topic == draft.topic)
    )
    if there is None:
        there = Subscription(source_id=source.id, topic=draft.topic, created_at=uow.now)
        uow.add(there)
    there.url, there.delivery_id, there.signed = draft.url, delivery_id, source.proof == ProofKind.SNS
    there.confirmed_at = None
