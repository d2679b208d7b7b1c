"""Four eyes: what loosens a guard rail is proposed by one person and takes effect when another agrees, or after a delay."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Index, Text, func, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from core import logs, work
from core.actors import SYSTEM, Actor, ActorKind
from core.auth import factors, permissions, users
from core.auth.models import SecondFactor, User
from core.db import Base, UnitOfWork, database_now, reading, unit_of_work
from core.errors import Conflict, Forbidden, NotFound, TocsinError, Unavailable
from core.journal import Fact, Verb, declare, record
from core.settings import settings
from core.types import Dated, Identified, Instant, Json, Ref

log = logs.get(__name__)

AGREE = permissions.declare("change.agree", "Agree to a loosened guard rail", ("manager",))

PROPOSED = declare("change.proposed", "proposed to loosen a guard rail")
AGREED = declare("change.agreed", "agreed to loosen a guard rail")
REFUSED = declare("change.refused", "refused to loosen a guard rail")
WITHDRAWN = declare("change.withdrawn", "withdrew a proposal to loosen a guard rail")
EXPIRED = declare("change.expired", "let a proposal expire: nobody agreed")
ALONE = declare("change.taken_effect_alone", "loosened a guard rail without a second person")
FAILED = declare("change.failed", "could not do what was proposed")

EXPIRES = timedelta(days=7)
"""How long a proposal waits for somebody who agrees."""
DELAY = timedelta(hours=24)
"""After this a proposal takes effect by itself where nobody else could agree."""
SETTLED = timedelta(hours=24)
"""An account, its roles and its second factor are this old before it counts as somebody else."""
SET_UP = timedelta(hours=72)
"""A new installation is being set up for this long: changes take effect at once, and the journal says so."""

OPEN = "open"
_WHERE_OPEN = text("state = 'open'")


class Change(Identified, Dated, work.Work, Base):
    """One proposal; `due_at` is when it takes effect by itself (`alone`) or expires."""

    __tablename__ = "proposed_changes"
    __table_args__ = (
        work.due_index("proposed_changes"),
        Index("ix_proposed_changes_open", "created_at", postgresql_where=_WHERE_OPEN, sqlite_where=_WHERE_OPEN),
    )

    kind: Mapped[str] = mapped_column(Text)
    says: Mapped[str] = mapped_column(Text)  # what would be loosened, in a sentence
    payload: Mapped[dict[str, Any]] = mapped_column(Json)
    state: Mapped[str] = mapped_column(Text, default=OPEN)  # open agreed alone refused withdrawn expired failed
    alone: Mapped[bool] = mapped_column(default=False)
    actor_kind: Mapped[str] = mapped_column(Text)
    actor_id: Mapped[str] = mapped_column(Text)
    actor_name: Mapped[str] = mapped_column(Text)
    decided_at: Mapped[datetime | None] = mapped_column(Instant)
    decided_by: Mapped[str | None] = mapped_column(Text)
    note: Mapped[str | None] = mapped_column(Text)

    @property
    def ref(self) -> Ref:
        """How the journal names it."""
        return Ref("change", str(self.id))

    @property
    def proposer(self) -> Actor:
        """Who proposed it, without permissions."""
        return Actor(ActorKind(self.actor_kind), self.actor_id, self.actor_name)


@dataclass(frozen=True)
class Kind:
    """One kind of change: who may propose it, how it is done, and the page where it is edited."""

    name: str
    permission: str
    apply: Callable[[UnitOfWork, Actor, Mapping[str, Any]], None]
    path: str
    erased: tuple[str, ...] = ()  # members of the payload that go once it is decided


_kinds: dict[str, Kind] = {}  # filled by declare_kind() as packages are imported


def declare_kind(
    name: str, *, permission: str, apply: Callable[[UnitOfWork, Actor, Mapping[str, Any]], None], path: str,
    erased: tuple[str, ...] = (),
) -> Kind:  # fmt: skip
    """Declare a kind of change, at import. `apply(uow, proposer, payload)` does it, and raises when it cannot be any more."""
    return _kinds.setdefault(name, Kind(name, permission, apply, path, erased))


def kind_of(change: Change) -> Kind:
    """The kind of a proposal."""
    return _kinds[change.kind]


# ------------------------------------------------------------------------------------------------ proposing


def loosen(uow: UnitOfWork, actor: Actor, kind: Kind, payload: Mapping[str, Any], says: str) -> Change | None:
    """Propose it, or do it at once (None): from the machine itself, or while the installation is being set up.

    Raises Forbidden, NeedsSecondFactor, Conflict (proposed already).
    """
    permissions.require(actor, kind.permission)
    if actor.kind not in (ActorKind.person, ActorKind.token):
        kind.apply(uow, actor, payload)
        return None
    factors.require_fresh(uow, actor)
    given = dict(payload)
    for row in waiting(uow, kind.name):
        if row.payload == given:
            raise Conflict(f"{row.actor_name} has proposed this already; it waits for somebody who agrees.")
    if being_set_up(uow):
        kind.apply(uow, actor, given)
        _told(uow, actor, ALONE, Ref("setting", f"guard:{kind.name}"), kind.name, says, why="being set up")
        return None
    alone = not who_may_agree(uow, actor)
    change = Change(
        kind=kind.name, says=says[:500], payload=given, alone=alone, created_at=uow.now,
        actor_kind=actor.kind.value, actor_id=actor.id, actor_name=actor.name,
        due_at=uow.now + (DELAY if alone else EXPIRES),
    )  # fmt: skip
    uow.add(change)
    uow.flush()
    _told(uow, actor, PROPOSED, change.ref, kind.name, says, alone=alone)
    return change


def being_set_up(session: Session) -> bool:
    """Whether the first account here is younger than three days."""
    first = session.scalar(select(func.min(User.created_at)))
    return first is None or database_now(session) - first < SET_UP


def who_may_agree(session: Session, proposer: Actor) -> list[User]:
    """The others who could agree: with the permission and, for at least a day, the account, its roles and a factor."""
    settled = database_now(session) - SETTLED
    with_factor = set(
        session.scalars(select(SecondFactor.user_id).where(SecondFactor.confirmed_at <= settled))
    )
    return [
        user
        for user in users.everyone(session)
        if str(user.id) != proposer.id
        and user.disabled_at is None
        and user.password is not None
        and AGREE.name in permissions.of_roles(user.roles)
        and user.empowered_at <= settled
        and (user.id in with_factor or not settings().second_factor_required)
    ]


# ------------------------------------------------------------------------------------------------ deciding


def agree(uow: UnitOfWork, actor: Actor, change_id: UUID) -> Change:
    """Agree, and have it done. Raises Forbidden (one's own, no person, too new here), NeedsSecondFactor, Conflict.

    Tocsin's own parts (the machine's command line) may agree to anything; the journal names them.
    """
    permissions.require(actor, AGREE.name)
    change = _open(uow, change_id)
    if actor.kind is ActorKind.token:
        raise Forbidden("Only a person who is signed in can agree.")
    if actor.kind is ActorKind.person:
        if actor.id == change.actor_id:
            raise Forbidden("You proposed this; somebody else must agree.")
        factors.require_fresh(uow, actor)
        if actor.user_id not in {user.id for user in who_may_agree(uow, change.proposer)}:
            raise Forbidden(
                "Whoever agrees has had their account, their roles and their second factor for at least a day."
            )
    _still_may(uow, change)
    kind_of(change).apply(uow, change.proposer, change.payload)
    _end(uow, actor, change, "agreed", AGREED)
    return change


def refuse(uow: UnitOfWork, actor: Actor, change_id: UUID, reason: str = "") -> Change:
    """Refuse it, or withdraw what one has proposed oneself; never needs a second factor. Raises Conflict, Forbidden."""
    change = _open(uow, change_id)
    own = actor.id == change.actor_id
    if not own:
        permissions.require(actor, AGREE.name)
    change.note = reason.strip()[:1000] or None
    _end(
        uow,
        actor,
        change,
        "withdrawn" if own else "refused",
        WITHDRAWN if own else REFUSED,
        reason=change.note,
    )
    return change


def get(session: Session, change_id: UUID) -> Change:
    """One proposal. Raises NotFound."""
    change = session.get(Change, change_id)
    if change is None:
        raise NotFound("There is no such proposal.")
    return change


def waiting(session: Session, *kinds: str) -> Sequence[Change]:
    """What waits to be decided (of these kinds), oldest first."""
    query = select(Change).where(Change.state == OPEN).order_by(Change.created_at, Change.id).limit(100)
    return session.scalars(query.where(Change.kind.in_(kinds)) if kinds else query).all()


def _open(uow: UnitOfWork, change_id: UUID) -> Change:
    change = uow.get(Change, change_id, with_for_update=True, populate_existing=True)
    if change is None:
        raise NotFound("There is no such proposal.")
    if change.state != OPEN:
        raise Conflict(f"This has been decided already: {change.state}.")
    return change


def _still_may(uow: UnitOfWork, change: Change) -> None:
    """Whoever proposed it must still be allowed to: a proposal does not outlive its proposer's account."""
    number = change.proposer.user_id
    if number is None:
        return
    user = users.get(uow, number)
    held = permissions.of_roles(user.roles) if user.disabled_at is None else frozenset()
    if kind_of(change).permission not in held:
        raise Conflict(f"{change.actor_name} may not change this any more; refuse it.")


def _end(
    uow: UnitOfWork, actor: Actor, change: Change, state: str, verb: Verb, reason: str | None = None
) -> None:
    change.state, change.decided_at, change.decided_by = state, uow.now, actor.name
    change.due_at = change.lease_until = change.parked_at = change.error = None
    change.fence += 1
    erased = kind_of(change).erased
    if erased:
        change.payload = {name: value for name, value in change.payload.items() if name not in erased}
    _told(uow, actor, verb, change.ref, change.kind, change.says, proposed_by=change.actor_name, reason=reason)


def _told(
    uow: UnitOfWork, actor: Actor, verb: Verb, ref: Ref, kind: str, says: str, *, reason: str | None = None,
    **more: Any,
) -> None:  # fmt: skip
    data = {"says": says, **({"reason": reason} if reason else {})}
    record(uow, actor, Fact(verb, (ref,), {"kind": kind, **more}, data))


# ------------------------------------------------------------------------------------------------ when time is over


def _handle(claims: list[work.Claim]) -> None:
    for claim in claims:
        with reading() as session:
            change = session.get(Change, claim.id)
        if change is None or change.state != OPEN:
            with unit_of_work() as uow:
                work.finish(uow, KIND, claim)
            continue
        failure = _take_effect(claim) if change.alone else None
        if failure is not None or not change.alone:
            with unit_of_work() as uow:
                work.finish(uow, KIND, claim)
                row = uow.get_one(Change, claim.id, with_for_update=True)
                row.note = failure
                _end(uow, SYSTEM, row, "failed" if failure else "expired", FAILED if failure else EXPIRED)


def _take_effect(claim: work.Claim) -> str | None:
    """Do what nobody refused in its delay; returns why it could not be done."""
    try:
        with unit_of_work() as uow:
            work.finish(uow, KIND, claim)
            change = _open(uow, claim.id)
            _still_may(uow, change)
            kind_of(change).apply(uow, change.proposer, change.payload)
            _end(uow, SYSTEM, change, "alone", ALONE)
    except TocsinError as error:
        if isinstance(error, work.LostLease | Unavailable):
            raise
        log.warning("a proposed change could not be done", extra={"reason": error.message})
        return error.message
    return None


KIND = work.register(work.WorkKind("core.four_eyes", Change, _handle, batch=1, concurrency=1))
