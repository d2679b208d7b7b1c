"""The look back at an incident: short points, each a row: impact, scope, causes, decisions, what went well and badly."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import journal
from core.actors import Actor
from core.auth import permissions
from core.db import UnitOfWork
from core.errors import Conflict, Invalid, NotFound, Problem
from core.ids import new_id
from core.journal import Fact
from core.types import Ref
from incidents import facts
from incidents.models import Incident, ReviewPoint
from incidents.permissions import EDIT
from incidents.visibility import belongs_to_visible, visible_to

MOST = 500
"""So many points one incident may have."""


@dataclass(frozen=True)
class Section:
    """A kind of point: what it asks, and the fields that it takes beside its sentence ("" where it takes none).

    areas and states: the words to choose from, the first one as a rule; empty where nothing is chosen.
    """

    name: str
    title: str
    asks: str
    areas: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    options: str = ""
    result: str = ""
    how: str = ""
    who: str = ""


SECTIONS: dict[str, Section] = {
    section.name: section
    for section in (
        Section("impact", "Impact", "What did it do to services, people, data or money?",
                ("services", "people", "data", "money", "safety"), ("known", "estimated", "unknown"),
                result="How much (minutes, people, records, money)", how="How do you know?"),
        Section("scope", "Scope", "What was looked at, and was it affected?",
                ("hosts", "accounts", "data", "services"), ("affected", "not_affected", "unknown"),
                how="Checked how?", who="Checked by"),
        Section("cause", "How it got in, and why", "What let it happen, one cause a line, the deepest last?", how="How do you know?"),
        Section("gap", "Why it was not seen earlier", "Which detection was missing, silent or overlooked?"),
        Section("decision", "Decisions", "What had to be decided?", options="Between what, one option a line",
                result="What was decided", how="What was known then", who="Decided by"),
        Section("side", "Side effects of what we did", "What did a countermeasure break, and for whom?",
                result="Of which action or countermeasure (okta.suspend_user)", how="How do you know?"),
        Section("rule", "Detection rules", "Which detection was written or changed, so that it is seen next time?", (),
                ("written", "changed", "planned"), result="Where it is (product, repository)", how="Tested how?"),
        Section("well", "What went well", "What helped, and should stay?"),
        Section("badly", "What went badly", "What cost time or made it worse? Name the thing, not the person."),
        Section("luck", "Where we were lucky", "What would have been worse on another day?"),
        Section("question", "Open questions", "What do we not know yet?", how="Who could tell us?"),
        Section("confidence", "How sure we are", "How sure are you of what this review says, and why?", (), ("high", "medium", "low")),
    )
}  # fmt: skip
"""Every section by its name, in the order in which they are shown."""


@dataclass(frozen=True)
class PointDraft:
    """One point; see SECTIONS for what each of the fields means there."""

    section: str
    says: str
    area: str = ""
    state: str = ""
    options: str = ""
    result: str = ""
    how: str = ""
    who: str = ""


def add(uow: UnitOfWork, actor: Actor, incident_id: UUID, draft: PointDraft) -> ReviewPoint:
    """Add a point to the review of an incident, open or closed. Raises NotFound, Invalid with every problem."""
    permissions.require(actor, EDIT.name)
    if uow.scalar(select(Incident.id).where(Incident.id == incident_id, visible_to(actor))) is None:
        raise NotFound("There is no such incident, or you may not see it.")
    section = _checked(draft)
    if len(of_incident(uow, actor, incident_id)) >= MOST:
        raise Invalid(f"A review has at most {MOST} points; attach a document for more.")
    row = ReviewPoint(
        id=new_id(), created_at=uow.now, incident_id=incident_id, section=section.name, says=_text(draft.says, 4000),
        area=draft.area or (section.areas[0] if section.areas else ""),
        state=draft.state or (section.states[0] if section.states else ""),
        options=_text(draft.options, 2000), result=_text(draft.result, 1000), how=_text(draft.how, 2000),
        who=(_text(draft.who, 200) or actor.name) if section.who else "", added_by=actor.name,
    )  # fmt: skip
    uow.add(row)
    uow.flush()
    body = {"section": row.section, **({"area": row.area} if row.area else {})}
    told = {"title": row.says, "options": row.options, "result": row.result, "how": row.how, "who": row.who, "state": row.state}
    refs = Ref("incident", str(incident_id)), Ref("review_point", str(row.id))
    journal.record(uow, actor, Fact(facts.REVIEW_NOTED, refs, body, told))
    return row


def withdraw(uow: UnitOfWork, actor: Actor, point_id: UUID) -> ReviewPoint:
    """Take a point back: it is no longer told, its row and the journal remember it. Raises NotFound, Conflict."""
    permissions.require(actor, EDIT.name)
    query = select(ReviewPoint).where(
        ReviewPoint.id == point_id, belongs_to_visible(actor, ReviewPoint.incident_id)
    )
    row = uow.scalar(query.with_for_update().execution_options(populate_existing=True))
    if row is None:
        raise NotFound("There is no such point, or you may not see it.")
    if row.withdrawn_at is not None:
        raise Conflict(f"{row.withdrawn_by} has taken it back already.")
    row.withdrawn_at, row.withdrawn_by = uow.now, actor.name
    uow.flush()
    refs = Ref("incident", str(row.incident_id)), Ref("review_point", str(row.id))
    journal.record(
        uow, actor, Fact(facts.REVIEW_WITHDRAWN, refs, {"section": row.section}, {"title": row.says})
    )
    return row  # fmt: skip


def of_incident(session: Session, actor: Actor, incident_id: UUID) -> list[ReviewPoint]:
    """The points in force, oldest first, at most MOST."""
    query = select(ReviewPoint).where(
        ReviewPoint.incident_id == incident_id,
        ReviewPoint.withdrawn_at.is_(None),
        belongs_to_visible(actor, ReviewPoint.incident_id),
    )
    return list(session.scalars(query.order_by(ReviewPoint.created_at, ReviewPoint.id).limit(MOST)))


def _checked(draft: PointDraft) -> Section:
    section = SECTIONS.get(draft.section)
    if section is None:
        said = f"It must be one of {', '.join(SECTIONS)}."
        raise Invalid(said, [Problem("section", said)])
    problems = []
    if not draft.says.strip():
        problems.append(Problem("says", section.asks))
    for name, given, words in (("area", draft.area, section.areas), ("state", draft.state, section.states)):
        if given and given not in words:
            problems.append(
                Problem(
                    name, f"It must be one of {', '.join(words)}." if words else f"There is no {name} here."
                )
            )
    problems += [
        Problem(name, f"A point of “{section.title}” has no {name}.")
        for name, given, taken in (
            ("options", draft.options, section.options), ("result", draft.result, section.result), ("how", draft.how, section.how), ("who", draft.who, section.who),
        )
        if given.strip() and not taken
    ]  # fmt: skip
    if problems:
        raise Invalid(problems[0].message, problems)
    return section


def _text(given: str, longest: int) -> str:
    return given.replace("\x00", "\ufffd").strip()[:longest]
