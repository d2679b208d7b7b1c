"""The decision log of an incident: each question, between what, who decided it when, and what lay before them."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors.entities import classify, defang
from core import bulk
from core.actors import ActorKind
from core.journal import Entry
from core.types import Severity
from incidents.stages import Confirmation, Disposition
from incidents.visibility import as_id
from playbooks.models import Wait
from reports import learned, obligations
from reports.model import Decision, Point, Task
from reports.told_model import Obligation
from reports.telling import clipped

_DECIDING: dict[str, tuple[str, tuple[str, ...]]] = {
    "incident.confirmation_changed": ("Is this a security incident?", tuple(Confirmation)),
    "incident.closed": ("What was it, and may it be closed?", tuple(Disposition)),
    "incident.severity_raised": ("How severe is it?", tuple(str(one) for one in Severity)),
}
_VOTES = {"step.answered": "", "step.decided_alone": "approved, decided alone"}
_IF_NOBODY = {"deny": "not done", "escalate": "asked again, and somebody paged", "fail": "the step fails"}


def of(
    session: Session,
    entries: Sequence[Entry],
    tasks: Sequence[Task],
    review: tuple[Point, ...],
    owed: Sequence[Obligation],
) -> tuple[Decision, ...]:
    """Everything that people decided, oldest first: from the journal, from tasks that gave a choice, from the review."""
    asked = {one.question for one in owed}
    chosen = [one for task in tasks if task.title not in asked for one in _chosen(task)]
    found = (*_journalled(session, entries), *chosen, *learned.decided(review), *obligations.decided(owed))
    return tuple(sorted(found, key=lambda one: one.at))


def _chosen(task: Task) -> list[Decision]:
    """The fields of a task's form that were a choice: a playbook asks people so."""
    given = dict(task.answers)
    return [
        Decision(
            task.ended_at, f"{task.title}: {name.replace('_', ' ')}", given[name], task.who or "", None, options,
            "; ".join(f"{other.replace('_', ' ')}: {value}" for other, value in task.answers if other != name),
        )
        for name, options in task.choices
        if name in given and task.ended_at is not None
    ]  # fmt: skip


def _journalled(session: Session, entries: Sequence[Entry]) -> list[Decision]:
    people = [entry for entry in entries if entry.actor_kind == ActorKind.person]
    votes = [entry for entry in people if entry.verb in _VOTES]
    waits = _waits(session, [of for entry in votes if (of := as_id(str(entry.body.get("wait") or "")))])
    found = []
    for entry in people:
        said = {**entry.body, **(entry.data or {})}
        because = said.get("because") or said.get("reason") or said.get("summary")
        reason = str(because) if because else None
        if entry.verb in _VOTES:
            asking = waits.get(as_id(str(said.get("wait") or "")), {})
            question = str(said.get("ask") or asking.get("ask") or "A step of the playbook")
            answer = _VOTES[entry.verb] or ("approved" if said.get("approve") else "refused")
            found.append(
                Decision(
                    entry.at, question, answer, entry.actor_name, reason, _between(asking), _shown(asking)
                )
            )
        elif entry.verb in _DECIDING:
            question, options = _DECIDING[entry.verb]
            answer = str(said.get("disposition") or said.get("to") or entry.says).replace("_", " ")
            between = tuple(one.replace("_", " ") for one in options)
            found.append(Decision(entry.at, question, answer, entry.actor_name, reason, between))
    return found


def _waits(session: Session, ids: Sequence[UUID]) -> dict[UUID | None, Mapping[str, Any]]:
    if not ids:
        return {}
    query = select(Wait.id, Wait.detail).where(bulk.among(session, Wait.id, list(ids)))
    return {row.id: row.detail for row in session.execute(query)}


def _between(asking: Mapping[str, Any]) -> tuple[str, ...]:
    """What there was to choose from at an approval, and what silence would have meant."""
    silence = _IF_NOBODY.get(str(asking.get("on_expire") or ""))
    return ("agree", "refuse", *([f"no answer: {silence}"] if silence else []))


def _shown(asking: Mapping[str, Any]) -> str:
    """What an approval put before those it asked: why, and exactly what would be done."""
    parts = [str(asking["why"])] if asking.get("why") else []
    for one in asking.get("what") or ():
        inputs = ", ".join(f"{name} {_plain(value)}" for name, value in (one.get("inputs") or {}).items())
        parts.append(f"{one.get('name')} ({one.get('effect')}): {inputs}")
    if asking.get("four_eyes") or int(asking.get("quorum") or 1) > 1:
        parts.append(f"{asking.get('quorum')} must agree")
    if asking.get("must"):
        parts.append(f"among them {', '.join('the lead' if one == 'owner' else str(one) for one in asking['must'])}")
    return clipped("; ".join(parts), 600)


def _plain(value: Any) -> str:
    """A value, defanged when it is one that could be clicked."""
    known = classify(str(value))
    return defang(*known) if known else str(value)
