"""Sends plain messages: durable and tried again, but never escalated."""

import json
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select

from core import blobs, crashpoints, work
from core.actors import Actor, ActorKind
from core.auth import users
from core.db import UnitOfWork, unit_of_work
from core.errors import Invalid, NotFound
from core.journal import Fact, Verb, record
from core.secrets import seal, unseal
from core.settings import settings
from core.types import Ref, Severity
from notify import contacts, facts, reaching, registry, sending
from notify.contract import Outgoing
from notify.models import AttemptState, ContactMethod, Message, ScheduleRow
from notify.oncall import schedules
from notify.oncall.resolver import on_call
from notify.outside import outside
from notify.wording import block, disarmed, one_line

_PURPOSE = "notify.message"


def message(
    uow: UnitOfWork,
    actor: Actor,
    *,
    channel: str,
    to: str | None,
    title: str,
    text: str,
    subject: Ref,
    path: str = "",
    severity: Severity = Severity.unknown,
    picture: str | None = None,
) -> Message:
    """Send `title` and `text` by a channel; the fact message.sent or message.failed tells how it ended.

    `to` is a shared place's name, an address the channel understands, `user:<id or e-mail>`, `on_call:<schedule>`,
    `contact:<id of a contact method>`, or None for the only shared place of that channel.
    `picture`: the digest of a PNG among the blobs that goes with it, where the channel can carry one. Raises Invalid or NotFound with what to do.
    """
    registry.get(channel)
    contact_id, user_id, address = _destination(uow, channel, to)
    if contact_id is not None:
        shown = uow.get_one(ContactMethod, contact_id).shown
    else:
        shown = registry.get(channel).shown(address)
    new = Message(
        created_at=uow.now,
        channel=channel,
        lane=registry.lane(channel, shown),
        shown=shown,
        address=seal(json.dumps(address), _PURPOSE) if address else None,
        user_id=user_id,
        contact_id=contact_id,
        title=one_line(title, 300),
        text=block(text),
        picture=picture,
        path=path,
        severity=severity,
        subject_kind=subject.kind,
        subject_id=subject.id,
        state=AttemptState.pending,
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_name=actor.name,
        due_at=uow.now,
    )
    uow.add(new)
    uow.flush()
    uow.wake(MESSAGES.name)
    return new


def _destination(
    uow: UnitOfWork, channel: str, to: str | None
) -> tuple[UUID | None, UUID | None, dict[str, str]]:
    """(contact method, user, address): one of the first and the last is set."""
    shared = select(ContactMethod).where(
        ContactMethod.user_id.is_(None), ContactMethod.channel == channel, ContactMethod.disabled_at.is_(None)
    )
    if to is None:
        places = list(uow.scalars(shared.limit(2)))
        if len(places) != 1:
            raise Invalid(
                f"Say to whom: there are {'several' if places else 'no'} shared places for {channel}."
            )
        return places[0].id, None, {}
    if (place := uow.scalar(shared.where(ContactMethod.name == to).limit(1))) is not None:
        return place.id, None, {}
    kind, _, rest = to.partition(":")
    if kind == "on_call" and rest:
        return _personal(uow, channel, _on_call(uow, rest))
    if kind == "contact" and rest:
        return _one_way(uow, channel, rest)
    if kind == "user" and rest:
        return _personal(uow, channel, _user(uow, rest))
    if channel == "inbox":
        return _personal(uow, channel, _user(uow, to))
    return None, None, registry.get(channel).from_text(to)


def _one_way(uow: UnitOfWork, channel: str, text: str) -> tuple[UUID | None, UUID | None, dict[str, str]]:
    """Exactly this contact method."""
    try:
        method = uow.get(ContactMethod, UUID(text))
    except ValueError:
        method = None
    if method is None or method.disabled_at is not None or method.channel != channel:
        raise NotFound(f"There is no such contact method for {channel}; it may have been removed.")
    return method.id, method.user_id, {}


def _personal(
    uow: UnitOfWork, channel: str, user_id: UUID
) -> tuple[UUID | None, UUID | None, dict[str, str]]:
    """A person's own address for this channel; for mail the account's will do."""
    own = uow.scalar(
        select(ContactMethod)
        .where(
            ContactMethod.user_id == user_id,
            ContactMethod.channel == channel,
            ContactMethod.disabled_at.is_(None),
        )
        .order_by(ContactMethod.verified_at.is_(None), ContactMethod.position)
        .limit(1)
    )
    if own is not None:
        return own.id, user_id, {}
    if channel not in ("email", "inbox"):
        raise Invalid(f"{users.get(uow, user_id).name} has no contact method for {channel}.")
    return None, user_id, reaching.address_of(uow, channel, None, user_id) or {}


def _user(uow: UnitOfWork, text: str) -> UUID:
    try:
        return users.get(uow, UUID(text)).id
    except ValueError:
        user = users.by_email(uow, text)
    if user is None:
        raise NotFound(f'There is no user "{text}".')
    return user.id


def _on_call(uow: UnitOfWork, name: str) -> UUID:
    row = uow.scalar(select(ScheduleRow).where(ScheduleRow.name == name))
    if row is None:
        raise NotFound(f'There is no schedule "{name}".')
    shift = on_call(schedules.load(uow, [row.id], since=uow.now)[row.id], uow.now)
    if shift is None:
        raise Invalid(f"Nobody is on call for {name} now.")
    return shift.user_id


def _handle(claims: list[work.Claim]) -> None:
    for claim in claims:
        with unit_of_work() as uow:
            job = _intend(uow, claim)
        if job is None:
            continue
        _send_and_tell(claim, job)


def _send_and_tell(claim: work.Claim, job: sending.Job) -> None:
    outcome = sending.send(job)
    work.write_down(lambda uow: _conclude(uow, claim, outcome))


def _intend(uow: UnitOfWork, claim: work.Claim) -> sending.Job | None:
    row = uow.get_one(Message, claim.id, with_for_update=True)
    if row.state == AttemptState.sending:  # cut off: a message is not worth sending twice, a person decides
        _end(uow, claim, row, AttemptState.unknown, sending.CUT_OFF)
        return None
    row.state, row.sent_at = AttemptState.sending, uow.now
    address = (
        json.loads(unseal(row.address, _PURPOSE))
        if row.address
        else reaching.address_of(uow, row.channel, row.contact_id, row.user_id)
    )
    title, text = row.title, row.text
    picture = blobs.get(uow, row.picture) if row.picture is not None else None
    if registry.get(row.channel).in_the_clear:
        told = outside(uow, Ref(row.subject_kind, row.subject_id), title, text)
        title, text, picture = told.title, "\n".join(told.lines), None
    outgoing = Outgoing(
        id=row.id,
        kind="message",
        title=disarmed(title),
        text=disarmed(text),
        severity=Severity(row.severity),
        at=uow.now,
        link=settings().base_url + row.path if row.path else "",
        thread=f"{row.subject_kind}-{row.subject_id}",
        picture=picture,
    )
    return sending.Job(row.channel, outgoing, address, sending.context_for(uow, row.channel, row.id))


def _conclude(uow: UnitOfWork, claim: work.Claim, outcome: sending.Outcome) -> None:
    row = uow.get_one(Message, claim.id, populate_existing=True)
    row.latency_ms, row.receipt, row.answer, row.failure = (
        outcome.latency_ms,
        outcome.receipt,
        outcome.answer,
        outcome.failure,
    )
    crashpoints.reached("send.outcome")
    if outcome.state in (AttemptState.sent, AttemptState.muzzled):
        row.state = outcome.state
        work.finish(uow, MESSAGES, claim)
        _tell(uow, row, facts.MESSAGE_SENT)
    elif outcome.permanent or outcome.state == AttemptState.unknown:
        if outcome.gone and row.contact_id is not None:
            contacts.lost(uow, row.contact_id)
        _end(uow, claim, row, outcome.state, outcome.failure or "")
    else:
        row.state = AttemptState.pending
        uow.flush()
        work.retry(uow, MESSAGES, claim, outcome.failure or "")


def _end(uow: UnitOfWork, claim: work.Claim, row: Message, state: AttemptState, failure: str) -> None:
    """Parked, so that a person sees it and can send it again."""
    row.state, row.failure = state, failure
    uow.flush()
    work.park(uow, MESSAGES, claim, failure)


def _parked(uow: UnitOfWork, message_id: UUID, error: str) -> None:
    row = uow.get_one(Message, message_id, populate_existing=True)
    if row.state in (AttemptState.pending, AttemptState.sending):
        row.state, row.failure = AttemptState.failed, row.failure or error[:1000]
    _tell(uow, row, facts.MESSAGE_FAILED)


def _tell(uow: UnitOfWork, row: Message, verb: Verb) -> None:
    actor = Actor(ActorKind(row.actor_kind), row.actor_id, row.actor_name)
    refs = (Ref("message", str(row.id)), Ref(row.subject_kind, row.subject_id))
    body = {"channel": row.channel, "state": row.state, "ms": row.latency_ms}
    told = {"title": row.title, "to": row.shown, "answer": row.answer, "reason": row.failure}
    record(uow, actor, Fact(verb, refs, body, told))


MESSAGES = work.register(
    work.WorkKind(
        "notify.messages",
        Message,
        _handle,
        batch=1,  # one after the other: a slow far end must not hold up messages to others
        max_attempts=6,
        concurrency=8,
        on_park=_parked,
        lane="lane",
        lane_batches=3,
        ends_within=timedelta(seconds=15),
        about=[select(Message.id, Message.subject_kind, Message.subject_id)],
    )
)
