"""Reads what was delivered and hands its alerts to the record; sets aside, visibly, what cannot be read."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import literal, or_, select, update
from sqlalchemy.exc import SQLAlchemyError

from connectors import mapping, registry
from connectors.contract import AlertDraft, Unreadable
from core import bulk, logs, metrics, work
from core.actors import Actor, ActorKind
from core.auth import permissions
from core.db import UnitOfWork, reading, unit_of_work
from core.errors import NotFound, TocsinError
from core.journal import Fact, record
from core.redaction import Redactor
from core.types import Ref, Severity
from core.work import Claim, WorkKind, finish_all, finish_with
from incidents import opening
from ingest import envelopes, facts, inbox, redacting, sns
from ingest.models import ASIDE, IGNORED, PROCESSED, QUARANTINED, RECEIVED, REFUSED, Delivery, Source
from ingest.permissions import REPLAY_DELIVERIES
from ingest.storing import BATCH, WORK
from ingest.visibility import deliveries_visible_to

log = logs.get(__name__)

ALERTS = metrics.counter(
    "tocsin_alerts_total", "Alerts that were taken in, by what became of them.", "outcome"
)

Item = tuple[AlertDraft, UUID | None, datetime]

_SEEN_EVERY = timedelta(seconds=10)


@dataclass
class Understood:
    """One delivery, read: what goes to the record and what is written on its row."""

    delivery: Any  # a row of _COLUMNS
    source: Source
    drafts: list[AlertDraft] = field(default_factory=list)
    ignored: int = 0
    state: str = PROCESSED
    reason: str | None = None
    subscription: sns.SubscriptionDraft | None = None
    without: redacting.Kept | None = None  # what stays of the delivery when it named secrets


def handle(claims: list[Claim]) -> None:
    """Read a batch and take it in with one transaction; if that fails, each delivery by itself."""
    understood = [_understand(delivery, source) for delivery, source in _load(claims)]
    try:
        _take_in(claims, understood)
    except Exception as error:  # a worker's outermost loop: one poisoned delivery must not hold up the others
        if len(claims) == 1:
            raise
        log.info("a batch of deliveries failed and is taken one by one", extra={"reason": repr(error)})
        for claim in claims:
            _alone(claim, [one for one in understood if one.delivery.id == claim.id])


def _alone(claim: Claim, understood: list[Understood]) -> None:
    try:
        _take_in([claim], understood)
    except work.LostLease:
        log.info("another worker took a delivery over", extra={"delivery": str(claim.id)})
    except Exception as error:  # the same loop, for one delivery: what went wrong is kept on its row
        log.exception("a delivery could not be taken in", extra={"delivery": str(claim.id)})
        with unit_of_work() as uow:
            work.retry(uow, KIND, claim, f"{type(error).__name__}: {error}")


_COLUMNS = (
    Delivery.id, Delivery.source_id, Delivery.body, Delivery.content_type, Delivery.headers, Delivery.received_at,
    Delivery.replays, Delivery.size,
)  # fmt: skip


def _load(claims: Sequence[Claim]) -> list[tuple[Any, Source]]:
    """The claimed deliveries, oldest first, and whose each is."""
    with reading() as session:
        mine = bulk.among(session, Delivery.id, [claim.id for claim in claims])
        rows = session.execute(select(*_COLUMNS).where(mine).order_by(Delivery.id)).all()
        wanted = bulk.among(session, Source.id, {row.source_id for row in rows})
        sources = {source.id: source for source in session.scalars(select(Source).where(wanted))}
    return [(row, sources[row.source_id]) for row in rows if row.source_id in sources]


# ------------------------------------------------------------------------------------------------ reading


def _understand(delivery: Any, source: Source) -> Understood:
    """What a delivery holds. A defect in a connector counts as unreadable: it must not hide an attack."""
    one = Understood(delivery, source)
    one.subscription = sns.subscription_in(delivery.body)
    if one.subscription is not None:
        one.state, one.reason = (
            IGNORED,
            "A topic asks to be confirmed: confirm it on the source's page, if you know it.",
        )
        return one
    body = envelopes.form_payload(delivery.body, delivery.content_type) or delivery.body
    try:
        read = mapping.read(
            registry.get(source.connector), body, delivery.content_type, delivery.headers, source.config
        )
    except (Unreadable, NotFound) as error:
        one.state, one.reason = QUARANTINED, error.message
        return one
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, OverflowError) as error:
        log.exception("a connector failed to read a delivery", extra={"connector": source.connector})
        one.state, one.reason = QUARANTINED, f"The connector {source.connector} failed on this: {error!r}"
        return one
    one.drafts, one.ignored = read.drafts, read.ignored
    if read.secrets:
        one.without = redacting.without(delivery.body, delivery.content_type, delivery.headers, Redactor(read.secrets))
    if read.problems:  # a part that cannot be read must not hide behind a part that can
        one.state, one.reason = QUARANTINED, " ".join(read.problems)
    elif not read.drafts:
        one.state = IGNORED
        one.reason = "It holds events that are no alerts." if read.ignored else "It holds no events."
    return one


def unreadable_alert(source: Source, reason: str, delivery_id: UUID, status: str = "firing") -> AlertDraft:
    """The alert that stands in for what could not be read: one per source, counted."""
    return AlertDraft(
        title=f"Unreadable alert from {source.name}",
        severity=Severity.medium,
        status="resolved" if status == "resolved" else "firing",
        fingerprint=(("tocsin", "unreadable"), ("source", source.name)),
        rule_id="tocsin.unreadable",
        rule_name="A delivery could not be read",
        category="other",
        description=f"{reason[:2000]} The delivery is kept as it came: correct the mapping, then replay it.",
        labels={"delivery": str(delivery_id)},
        url=f"/quarantine/{delivery_id}",
    )


def _items(one: Understood, now: datetime) -> list[Item]:
    """What goes to the record. After a replay the clock of “late” runs from now: old alerts must not act as new."""
    received = now if one.delivery.replays else one.delivery.received_at
    drafts = one.drafts
    if one.delivery.replays:
        arrived = one.delivery.received_at
        drafts = [d if d.occurred_at else msgspec.structs.replace(d, occurred_at=arrived) for d in drafts]
    items: list[Item] = [(draft, one.delivery.id, received) for draft in drafts]
    if one.state == QUARANTINED:
        items.append((unreadable_alert(one.source, one.reason or "", one.delivery.id), one.delivery.id, now))
    return items


# ------------------------------------------------------------------------------------------------ writing


def _take_in(claims: Sequence[Claim], understood: Sequence[Understood]) -> None:
    with unit_of_work() as uow:
        told = {one.delivery.id: one for one in understood}
        known = [(claim, told[claim.id]) for claim in claims if claim.id in told]
        finish_with(uow, KIND, [(claim, _told(one, uow.now)) for claim, one in known])
        finish_all(uow, KIND, [claim for claim in claims if claim.id not in told])  # its source is gone
        by_source: dict[UUID, list[Understood]] = {}
        for one in understood:
            by_source.setdefault(one.source.id, []).append(one)
        for group in by_source.values():
            _take_in_source(uow, group)


def _take_in_source(uow: UnitOfWork, group: Sequence[Understood]) -> None:
    source = group[0].source
    actor = Actor(ActorKind.source, str(source.id), source.name)
    items = [item for one in group for item in _items(one, uow.now)]
    if all(one.state != QUARANTINED for one in group) and any(one.delivery.replays for one in group):
        items += _mended(uow, group)
    if items:
        _count(uow, source, group, opening.accept(uow, actor, facts_of(source, uow.now), items))
    for one in group:
        if one.without is not None:
            redacting.keep(uow, one.delivery.id, one.without)
        if one.subscription is not None:
            sns.keep(uow, source, one.delivery.id, one.subscription)
        if one.state == QUARANTINED:
            _record_quarantined(uow, actor, one.delivery, source, one.reason or "")
    uow.execute(
        update(Source)
        .where(Source.id == source.id)
        .where(or_(Source.last_seen_at.is_(None), Source.last_seen_at < uow.now - _SEEN_EVERY))
        .values(last_seen_at=uow.now)
        .execution_options(synchronize_session=False)
    )


def _count(
    uow: UnitOfWork, source: Source, group: Sequence[Understood], done: list[opening.Accepted]
) -> None:
    outcomes = Counter(one.outcome for one in done)
    receipts = [str(one.delivery.id) for one in group]

    def tell() -> None:
        for outcome, count in outcomes.items():
            ALERTS.add(outcome, by=count)
        told = {"source": source.name, "receipts": receipts, **outcomes}
        with logs.tied(receipts[0] if len(receipts) == 1 else None):
            log.info("read %d deliveries", len(receipts), extra=told)

    uow.after_commit(tell)


def _mended(uow: UnitOfWork, group: Sequence[Understood]) -> list[Item]:
    """Once nothing of a source is quarantined any more, the alert that stood for it ends."""
    ours = [one.delivery.id for one in group]
    left = uow.scalar(
        select(Delivery.id)
        .where(
            ASIDE,
            Delivery.source_id == group[0].source.id,
            Delivery.id.not_in(ours),
        )
        .limit(1)
    )
    if left is not None:
        return []
    draft = unreadable_alert(group[0].source, "Everything has been read now.", ours[-1], status="resolved")
    return [(draft, None, uow.now)]


def _told(one: Understood, now: datetime) -> dict[str, Any]:
    return {
        "state": one.state,
        "reason": one.reason[:4000] if one.reason else None,
        "alerts": len(one.drafts),
        "ignored": one.ignored,
        "processed_at": now,
    }


def _record_quarantined(uow: UnitOfWork, actor: Actor, delivery: Any, source: Source, reason: str) -> None:
    refs = (Ref("delivery", str(delivery.id)), Ref("source", str(source.id)))
    body = {"source": source.name, "size": delivery.size}
    record(uow, actor, Fact(facts.DELIVERY_QUARANTINED, refs, body, {"reason": reason[:2000]}))


def facts_of(source: Source, now: datetime) -> opening.SourceFacts:
    """What the record needs to know of a source."""
    return opening.SourceFacts(
        id=source.id,
        name=source.name,
        connector=source.connector,
        trust=source.trust,
        quiet_after=source.quiet_after,
        constituency_id=source.constituency_id,
        team_id=source.team_id,
        restricted_to=tuple(source.restricted_to) if source.restricted_to is not None else None,
        learning=source.learning(now),
    )


# ------------------------------------------------------------------------------------------------ again


def replay(uow: UnitOfWork, actor: Actor, delivery_ids: Sequence[UUID]) -> int:
    """Have these deliveries read again, as after a mapping was fixed; returns how many will be.

    What is waiting already, or was refused for its size, is left alone. Their alerts count as late if they are old.
    Raises Forbidden, NotFound when none of them can be read again.
    """
    permissions.require(actor, REPLAY_DELIVERIES.name)
    rows = uow.scalars(
        select(Delivery)
        .where(
            Delivery.id.in_(delivery_ids),
            Delivery.state.not_in([RECEIVED, REFUSED]),
            Delivery.due_at.is_(None),
            deliveries_visible_to(actor),
        )
        .with_for_update()
    ).all()
    if not rows:
        raise NotFound(
            "None of these deliveries can be read again: they are waiting already, or their body was not kept."
        )
    for row in rows:
        row.state, row.due_at, row.parked_at, row.error = RECEIVED, uow.now, None, None
        row.attempts, row.replays = 0, row.replays + 1
        refs = (Ref("delivery", str(row.id)), Ref("source", str(row.source_id)))
        record(uow, actor, Fact(facts.DELIVERY_REPLAYED, refs, {"replay": row.replays}))
    uow.wake(WORK)
    return len(rows)


def _parked(uow: UnitOfWork, delivery_id: UUID, error: str) -> None:
    """What failed again and again is quarantined like what cannot be read."""
    delivery = uow.get(Delivery, delivery_id)
    source = uow.get(Source, delivery.source_id) if delivery is not None else None
    if delivery is None or source is None:
        return
    reason = f"It could not be taken in: {error}"
    delivery.state, delivery.reason, delivery.processed_at = QUARANTINED, reason[:4000], uow.now
    actor = Actor(ActorKind.source, str(source.id), source.name)
    _record_quarantined(uow, actor, delivery, source, reason)
    try:
        with uow.begin_nested():
            opening.accept(
                uow,
                actor,
                facts_of(source, uow.now),
                [(unreadable_alert(source, reason, delivery.id), delivery.id, uow.now)],
            )
    except (TocsinError, SQLAlchemyError):
        log.exception(
            "no alert could be opened for a quarantined delivery", extra={"delivery": str(delivery_id)}
        )


KIND = work.register(
    WorkKind(
        name=WORK,
        model=Delivery,
        handle=handle,
        batch=BATCH,
        max_attempts=5,
        concurrency=1,  # reading is Python from end to end: a second thread would only halve the batches
        pace=inbox.take_turns,
        on_park=_parked,
        about=[select(Delivery.id, literal("delivery"), Delivery.id)],
    )
)
