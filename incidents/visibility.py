"""Who may see what: the one predicate every query on incidents, alerts and what belongs to them goes through.

A restricted incident or alert is seen by the people it names and by Tocsin's own parts; by nobody else, whatever
their role: it may be about an administrator.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Text, and_, cast, false, not_, or_, select, true
from sqlalchemy.orm import InstrumentedAttribute, Session

from core.actors import Actor, ActorKind
from core.types import Ref
from incidents.acceptance_models import Acceptance
from incidents.alert_models import Alert
from incidents.models import Attachment, Comment, Disclosure, Finding, FollowUp, Incident, Reporter, ReviewPoint, Task
from incidents.permissions import READ

Judge = Callable[[Session, Actor, Sequence[UUID]], Collection[UUID]]
"""Told ids of one kind of subject: those that the actor may see."""

_JUDGES: dict[str, Judge] = {}  # filled by judged() as packages are imported
_INSIDE = frozenset({ActorKind.system, ActorKind.playbook, ActorKind.source, ActorKind.connector})


def sees_all(actor: Actor) -> bool:
    """Whether this is a part of Tocsin, from which nothing is hidden."""
    return actor.kind in _INSIDE


def visible_to(actor: Actor, incident: Any = Incident) -> ColumnElement[bool]:
    """The condition on `Incident` (or an alias of it) that holds for what this actor may see."""
    if sees_all(actor):
        return true()
    if not actor.may(READ.name):
        return false()
    return _names(actor.user_id) if incident is Incident else _named(actor, incident.restricted_to)


def alerts_visible_to(actor: Actor, alert: Any = Alert) -> ColumnElement[bool]:
    """The condition on `Alert`: its source is not restricted to others, and neither is its incident."""
    if sees_all(actor):
        return true()
    if not actor.may(READ.name):
        return false()
    return and_(_named(actor, alert.restricted_to), _not_hidden(actor, alert.incident_id))


def acceptances_visible_to(actor: Actor) -> ColumnElement[bool]:
    """The condition on `Acceptance`: the alert it was made from was not restricted to others."""
    if sees_all(actor):
        return true()
    if not actor.may(READ.name):
        return false()
    return _named(actor, Acceptance.restricted_to)


def belongs_to_visible(
    actor: Actor, incident_id: InstrumentedAttribute[UUID] | InstrumentedAttribute[UUID | None]
) -> ColumnElement[bool]:
    """The condition on anything with an incident_id (tasks, comments, links of upper packages)."""
    if sees_all(actor):
        return true()
    if not actor.may(READ.name):
        return false()
    return _not_hidden(actor, incident_id)


def visible_refs(session: Session, actor: Actor, refs: Iterable[Ref]) -> set[Ref]:
    """Of these references, those the actor may see: incidents, alerts, tasks, comments and files are looked up.

    Kinds of upper packages are judged by those (see judged()); others are left as they are.
    """
    given = set(refs)
    if sees_all(actor):
        return given
    seen = {ref for ref in given if ref.kind not in _JUDGED and ref.kind not in _JUDGES}
    for kind, (model, condition) in _JUDGED.items():
        ids = [of for ref in given if ref.kind == kind and (of := as_id(ref.id))]
        for start in range(0, len(ids), 500):
            query = select(model.id).where(model.id.in_(ids[start : start + 500]), condition(actor))
            seen.update(Ref(kind, str(found)) for found in session.scalars(query))
    for kind, judge in _JUDGES.items():
        if asked := [of for ref in given if ref.kind == kind and (of := as_id(ref.id))]:
            seen.update(Ref(kind, str(found)) for found in judge(session, actor, asked))
    return seen


def judged(kind: str, judge: Judge) -> None:
    """An upper package judges its own kind of subjects, said at import."""
    _JUDGES[kind] = judge


def as_id(text: str | UUID) -> UUID | None:
    """The id a text is, or None."""
    if isinstance(text, UUID):
        return text
    try:
        return UUID(text)
    except ValueError:
        return None


_JUDGED: dict[str, tuple[Any, Any]] = {
    "incident": (Incident, visible_to),
    "alert": (Alert, alerts_visible_to),
    "acceptance": (Acceptance, acceptances_visible_to),
    "task": (Task, lambda actor: belongs_to_visible(actor, Task.incident_id)),
    "comment": (Comment, lambda actor: belongs_to_visible(actor, Comment.incident_id)),
    "reporter": (Reporter, lambda actor: belongs_to_visible(actor, Reporter.incident_id)),
    "attachment": (Attachment, lambda actor: belongs_to_visible(actor, Attachment.incident_id)),
    "finding": (Finding, lambda actor: belongs_to_visible(actor, Finding.incident_id)),
    "follow_up": (FollowUp, lambda actor: belongs_to_visible(actor, FollowUp.incident_id)),
    "disclosure": (Disclosure, lambda actor: belongs_to_visible(actor, Disclosure.incident_id)),
    "review_point": (ReviewPoint, lambda actor: belongs_to_visible(actor, ReviewPoint.incident_id)),
}


def _not_hidden(actor: Actor, incident_id: Any) -> ColumnElement[bool]:
    return or_(incident_id.is_(None), incident_id.not_in(hidden_from(actor.user_id)))


@lru_cache(maxsize=1024)  # a page asks a dozen times; building it takes longer than most queries
def hidden_from(user_id: UUID | None) -> Select[tuple[UUID]]:
    """The ids of the incidents that are restricted to others."""
    # Few incidents are restricted: "none of those" is planned well by both databases, "one of all others" is not.
    other = Incident.__table__.alias("others")
    return select(other.c.id).where(
        other.c.restricted_to.is_not(None), not_(naming(user_id, other.c.restricted_to))
    )


@lru_cache(maxsize=1024)  # as hidden_from()
def _names(user_id: UUID | None) -> ColumnElement[bool]:
    return naming(user_id, Incident.restricted_to)


def _named(actor: Actor, restricted_to: Any) -> ColumnElement[bool]:
    return naming(actor.user_id, restricted_to)


def naming(user_id: UUID | None, restricted_to: Any) -> ColumnElement[bool]:
    """The condition that a list of readers is none, or names this one."""
    if user_id is None:
        return restricted_to.is_(None)  # type: ignore[no-any-return]  # a column expression
    # Ids hold no wildcard characters; JSON texts of both databases quote their members the same way.
    return or_(restricted_to.is_(None), cast(restricted_to, Text).like(f'%"{user_id}"%'))
