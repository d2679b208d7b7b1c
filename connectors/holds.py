"""Holding the automation of one subject: what it began ends, nothing else begins until somebody lets it go on."""

from collections.abc import Iterable

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from connectors import facts
from connectors.contract import Action, Effect
from connectors.guards import Verdict
from connectors.models import SubjectHold
from connectors.permissions import HOLD_AUTOMATION, LET_GO
from core.actors import Actor, ActorKind
from core.auth import factors, permissions
from core.db import UnitOfWork
from core.errors import Conflict, Invalid, Problem
from core.journal import Fact, record
from core.types import Ref

RAIL = "stopped"


def stop(uow: UnitOfWork, actor: Actor, subject: Ref, reason: str) -> SubjectHold:
    """Hold whatever automation would do for this subject from now on. Raises Invalid, Conflict (it is held already)."""
    permissions.require(actor, HOLD_AUTOMATION.name)
    if not reason.strip():
        raise Invalid("Say why it is stopped: whoever is called reads it first.", [Problem("reason", "empty")])
    row = of(uow, subject)
    if row is not None:
        raise Conflict(f"It was stopped already, by {row.by}: {row.reason}")
    row = SubjectHold(
        subject_kind=subject.kind, subject_id=subject.id, reason=reason.strip()[:1000], by=actor.name, at=uow.now
    )
    uow.add(row)
    uow.flush()
    record(uow, actor, Fact(facts.SUBJECT_STOPPED, (subject,), {}, {"reason": row.reason}))
    return row


def let_go(uow: UnitOfWork, actor: Actor, subject: Ref, reason: str) -> None:
    """Let it go on; whoever subscribes to the fact wakes what was held. Raises Invalid, Conflict, NeedsSecondFactor."""
    permissions.require(actor, LET_GO.name)
    if actor.kind is ActorKind.token:
        raise Conflict("A program may stop automation, but a person who is signed in lets it go on.")
    factors.require_fresh(uow, actor)
    if not reason.strip():
        raise Invalid("Say why it may go on.", [Problem("reason", "empty")])
    row = of(uow, subject)
    if row is None:
        raise Conflict("It is not stopped any more.")
    body = {"since": row.at.isoformat()}
    uow.delete(row)
    uow.flush()
    record(uow, actor, Fact(facts.SUBJECT_LET_GO, (subject,), body, {"reason": reason.strip()[:1000]}))


def of(session: Session, subject: Ref) -> SubjectHold | None:
    """The hold on this subject, as it is in the database now."""
    return next(iter(among(session, [subject]).values()), None)


def among(session: Session, subjects: Iterable[Ref]) -> dict[Ref, SubjectHold]:
    """Those of these subjects that are held."""
    pairs = sorted({(one.kind, one.id) for one in subjects})
    if not pairs:
        return {}
    wanted = tuple_(SubjectHold.subject_kind, SubjectHold.subject_id).in_(pairs)
    query = select(SubjectHold).where(wanted).execution_options(populate_existing=True)
    return {row.subject: row for row in session.scalars(query)}


def judge(session: Session, actor: Actor, subject: Ref, action: Action, verdict: Verdict) -> Verdict:
    """The verdict, or that the subject is stopped: a person may go on by hand, and looking changes nothing."""
    if verdict.state != "go" or action.effect is Effect.read or actor.kind is ActorKind.person:
        return verdict
    row = of(session, subject)
    return verdict if row is None else Verdict("held", said(row), RAIL)


def said(row: SubjectHold) -> str:
    """Why something waits, as a sentence."""
    return f"{row.by} stopped the automation of this incident ({row.reason}); this waits until somebody lets it go on."
