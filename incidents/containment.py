"""Notice alerts about something that is under a countermeasure in force, where containment may have failed, or that is watched."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import not_, or_, select, tuple_, update
from sqlalchemy.orm import Session

from connectors import countermeasures, guards, hand_measures, rails
from connectors.contract import Entity
from connectors.models import IN_FORCE, WATCHED, Countermeasure
from core import journal
from core.actors import SYSTEM, Actor
from core.db import UnitOfWork
from core.journal import Entry, Fact
from core.outbox import subscriber
from core.types import Ref, Severity
from incidents import facts, reaching
from incidents.closing import register_close_check
from incidents.episodes import Episode
from incidents.models import Alert, Incident, Observable, Sighting
from incidents.stages import Priority
from incidents.visibility import visible_to

ON_ITS_WAY = timedelta(minutes=2)
"""What arrives so soon after a countermeasure, without saying when it occurred, may have been under way before it."""
TOLD_EVERY = timedelta(minutes=30)
"""Activity that goes on is told again after this time."""
MOST_WATCHED = 100
_SHARED = ("ipv4-addr", "ipv6-addr", "domain")
UNTOLD = "an alert must be looked at now"
"""What is said for another incident than the one the countermeasure was taken for, when that one is restricted."""

_countermeasures: Any = Countermeasure.__table__


def doubt(uow: UnitOfWork, actor: Actor, episodes: Sequence[Episode]) -> None:
    """Record `alert.containment_doubted` for alerts about entities under a countermeasure in force, repeats too.

    It is `alert.watched_seen` for what is only watched.
    """
    if uow.scalar(select(_countermeasures.c.id).where(*_in_force()).limit(1)) is None:
        return
    about: dict[tuple[str, str], tuple[Episode, datetime]] = {}
    for episode in episodes:
        at = max(
            (
                _when(item.draft.occurred_at, item.received_at)
                for item in episode.items
                if item.outcome in _SEEN
            ),
            default=None,
        )
        if at is not None:
            about.update({(kind, value): (episode, at) for kind, value, _ in episode.entities})
    for found in _standing(uow, {value for _, value in about}):
        seen = about.get((found.entity_type, found.entity_value))
        if seen is None or seen[1] <= (found.verified_at or found.created_at) or not _claim(uow, found.id):
            continue
        episode, at = seen
        refs = [Ref("alert", str(episode.id)), Ref("countermeasure", str(found.id))]
        theirs = found.subject_id if found.subject_kind == "incident" else None
        now = str(episode.incident_id) if episode.incident_id is not None else None
        if theirs is not None:
            refs.append(Ref("incident", theirs))
        body = {
            "action": found.action, "countermeasure": str(found.id), "seen_at": at.isoformat(), "incident": theirs,
            "alert_incident": now,
        }  # fmt: skip
        told = {"type": found.entity_type, "value": found.entity_value}
        verb = facts.WATCHED_SEEN if found.state == WATCHED else facts.CONTAINMENT_DOUBTED
        journal.record(uow, actor, Fact(verb, tuple(refs), body, told))


_SEEN = frozenset({"new", "counted", "recurred"})


def _when(occurred_at: datetime | None, received_at: datetime) -> datetime:
    return occurred_at if occurred_at is not None else received_at - ON_ITS_WAY


def _in_force() -> list[Any]:
    return [_countermeasures.c.removed_at.is_(None), _countermeasures.c.state.in_(IN_FORCE)]


def _standing(uow: UnitOfWork, values: Iterable[str]) -> list[Any]:
    listed = sorted(values)
    found: list[Any] = []
    for start in range(0, len(listed), 1000):
        query = select(_countermeasures).where(
            *_in_force(), _countermeasures.c.entity_value.in_(listed[start : start + 1000])
        )
        found += uow.execute(query.order_by(_countermeasures.c.id)).all()
    return found


def _claim(uow: UnitOfWork, countermeasure: UUID) -> bool:
    """Whether it is time to tell again that the entity is active; only one worker tells."""
    seen_before = _countermeasures.c.activity_at
    claimed = uow.scalars(
        update(_countermeasures)
        .where(
            _countermeasures.c.id == countermeasure,
            seen_before.is_(None) | (seen_before < uow.now - TOLD_EVERY),
        )
        .values(activity_at=uow.now)
        .returning(_countermeasures.c.id),
        execution_options={"synchronize_session": False},
    )
    return bool(claimed.all())


def unreviewed(session: Session, incident: Incident) -> list[str]:
    """Why an incident may not be closed yet: countermeasures in force that neither end nor come up for review."""
    table = _countermeasures.c
    left = session.execute(
        select(table.action, table.entity_value).where(
            *_in_force(), table.subject_kind == "incident", table.subject_id == str(incident.id),
            table.expires_at.is_(None), table.review_at.is_(None),
        )
    ).all()  # fmt: skip
    return [
        f"{row.action} on {row.entity_value} is still in force: remove it, or say when it ends."
        for row in left
    ]


register_close_check("countermeasures", unreviewed)


@subscriber("incidents.containment", verbs=["alert.containment_doubted"])
def _alarm(uow: UnitOfWork, entry: Entry) -> None:
    """Containment that may have failed goes to the front of the queue, and wakes the lead.

    It is told for the incident that the countermeasure was taken for; when that is closed, for the one that the alert
    belongs to. That one goes to the front as well. Of a restricted
    incident nothing is told to the other one but that the alert must be looked at.
    """
    if (about := _about(uow, entry, "containment may have failed")) is not None:
        what = _value(entry)
        title = f"containment of {what} may have failed"
        message = f"An alert names {what} although {entry.body['action']} is in force."
        _wake(uow, entry, about, title, message)


@subscriber("incidents.watched", verbs=["alert.watched_seen"])
def _seen_again(uow: UnitOfWork, entry: Entry) -> None:
    """What is watched was seen again: as _alarm(), and it wakes the lead when the incident it is watched for was serious."""
    taken_for = _locked(uow, entry.body.get("incident"))
    about = _about(uow, entry, "seen again while it was watched")
    if about is not None and taken_for is not None and Severity(taken_for.severity).rank >= Severity.high.rank:
        what = _value(entry)
        _wake(uow, entry, about, f"{what} was seen again", f"An alert names {what}, which is watched since {taken_for.key}.")


def _about(uow: UnitOfWork, entry: Entry, reason: str) -> Incident | None:
    """The incident that is told; it, and the one that the alert belongs to, go to the front while they are open."""
    taken_for = _locked(uow, entry.body.get("incident"))
    joined = _locked(uow, entry.body.get("alert_incident"))
    open_ones = [one for one in (taken_for, joined) if one is not None and one.closed_at is None]
    for one in dict.fromkeys(open_ones):
        _to_the_front(uow, one, UNTOLD if _hides(taken_for, one) else reason)
    return next(iter(open_ones), taken_for)


def _value(entry: Entry) -> str:
    return (entry.data or {}).get("value") or "an entity"


def _wake(uow: UnitOfWork, entry: Entry, about: Incident, title: str, message: str) -> None:
    if _hides(_locked(uow, entry.body.get("incident")), about):
        title, message = f"{UNTOLD}: {_value(entry)}", f"An alert names {_value(entry)}."
    reaching.wake(
        uow,
        about,
        title=title,
        message=f"{message} Look at {about.key}.",
        severity=max(Severity(about.severity), Severity.high, key=lambda severity: severity.rank),
        key=f"containment:{entry.body['countermeasure']}",
        cause=_cause(uow, entry),
    )


def _cause(uow: UnitOfWork, entry: Entry) -> reaching.Cause:
    """The alert that told of it, and the countermeasure; it never waits in a bundle."""
    alert = uow.get(Alert, UUID(number)) if (number := entry.ref("alert")) else None
    kind = f"containment:{entry.body['countermeasure']}"
    return reaching.Cause(kind, alert.last_seen if alert is not None else None, at_once=True)


def _locked(uow: UnitOfWork, incident_id: str | None) -> Incident | None:
    return uow.get(Incident, UUID(incident_id), with_for_update=True) if incident_id else None


def _hides(taken_for: Incident | None, told: Incident) -> bool:
    """Whether the countermeasure was taken for another incident, which is restricted."""
    return taken_for is not None and taken_for is not told and taken_for.restricted_to is not None


def _to_the_front(uow: UnitOfWork, incident: Incident, reason: str) -> None:
    if incident.priority == Priority.p1:
        return
    was, incident.priority = incident.priority, Priority.p1.value
    body = {"priority": {"from": was, "to": incident.priority}}
    told = {"reason": reason}
    journal.record(uow, SYSTEM, Fact(facts.INCIDENT_CHANGED, (incident.ref,), body, told))


@dataclass(frozen=True)
class Doubt:
    """A countermeasure in force, or a watch, whose entity was seen at work again; `incident` is the one it was taken for."""

    measure: Countermeasure
    incident: Incident

    @property
    def watched(self) -> bool:
        """Whether nothing was in its way."""
        return self.measure.state == WATCHED


def watch(
    uow: UnitOfWork, actor: Actor, incident: Ref, values: Iterable[str], *, lasting: timedelta, key: str, reason: str
) -> list[Countermeasure]:
    """Watch values of an incident for so long: what names one of them goes to the front.

    Values that it does not have are left out, and so are addresses of our own or of everybody, which many alerts name.
    """
    wanted = sorted({value for value in values if value})[:MOST_WATCHED]
    found = uow.execute(
        select(Observable.type, Observable.value).distinct()
        .join(Sighting, Sighting.observable_id == Observable.id)
        .where(Sighting.incident_id == UUID(incident.id), Sighting.alert_id.is_(None), Observable.value.in_(wanted))
        .order_by(Observable.type, Observable.value)
    ).all()  # fmt: skip
    own = [guards.Protected(one.kind, one.value, one.reason, one.own) for one in rails.protected(uow) if one.own]
    ours = {row for row in found if row.type in _SHARED and guards.protection(Entity(row.type, row.value, "target"), own)}
    return [
        hand_measures.watch(
            uow, actor, incident, row.type, row.value, lasting=lasting, key=f"{key}:{place}", reason=reason
        )
        for place, row in enumerate(found)
        if row not in ours
    ]


def doubts(session: Session, actor: Actor, *, about: Incident | None = None) -> list[Doubt]:
    """What may have failed, of what the actor may see, the latest first; `about`: what an incident's values are under."""
    wanted = [Countermeasure.subject_kind == "incident"]
    if about is not None:
        inside = (
            select(Observable.type, Observable.value)
            .join(Sighting, Sighting.observable_id == Observable.id)
            .where(Sighting.incident_id == about.id, Sighting.alert_id.is_(None))
        )
        its_values = tuple_(Countermeasure.entity_type, Countermeasure.entity_value).in_(inside)
        wanted.append(or_(Countermeasure.subject_id == str(about.id), its_values))
    found = countermeasures.doubted(session, *wanted)
    if found and (hidden := _hidden(session, actor)):  # they must not use up the limit
        found = countermeasures.doubted(session, *wanted, Countermeasure.subject_id.not_in(hidden))
    ids = {UUID(row.subject_id) for row in found}
    query = select(Incident).where(Incident.id.in_(ids), visible_to(actor))
    seen = {incident.id: incident for incident in session.scalars(query)} if ids else {}
    return [Doubt(row, seen[UUID(row.subject_id)]) for row in found if UUID(row.subject_id) in seen]


def _hidden(session: Session, actor: Actor) -> list[str]:
    """The incidents that this person may not see, as subjects spell them; few are restricted."""
    restricted = (Incident.restricted_to.is_not(None), not_(visible_to(actor)))
    return [str(one) for one in session.scalars(select(Incident.id).where(*restricted))]
