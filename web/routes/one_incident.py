"""One incident: its header, its story and its work, live; and what people do to it as a whole."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from connectors import holds
from connectors.contract import CATEGORIES
from connectors.models import SubjectHold
from core import journal
from core.actors import Actor
from core.auth import users
from core.auth.models import User
from core.db import reading, unit_of_work
from core.errors import Invalid, NotFound
from core.types import Severity
from incidents import (
    attachments,
    comments,
    containment,
    findings,
    following,
    keys,
    lifecycle,
    milestones,
    observables,
    parts,
    reporting,
    storms,
    verdicts,
)
from incidents.alert_models import Alert
from incidents.containment import Doubt
from incidents.milestones import Times
from incidents.models import Attachment, Finding, Incident, Reporter, ReporterMessage, Task
from incidents.observables import Listed
from incidents.stages import Confirmation, Stage, Tlp, WaitingOn
from incidents.verdicts import Judged, Standing
from incidents.visibility import alerts_visible_to, as_id, visible_to
from playbooks import by_hand
from playbooks.by_hand import Offer
from web import response, uploads, woken
from web.forms import Asked, asked
from web.languages import gettext as _
from web.markdown import to_page
from web.pages import Page, show, then
from web.response import ActionTold, Measure, RunTold
from web.security import Form, allowed
from web.telling import Told, tell_all
from web.woken import Sent

router = APIRouter(include_in_schema=False)

STORY = 60
MOST_VALUES = 100
MOST_CALLS, MOST_CALLS_SHOWN = 200, 30
MOST_FILES_SHOWN = 200
MOST_FINDINGS = 12


@dataclass(frozen=True)
class TaskShown:
    """A task with its instructions rendered and its form's fields."""

    task: Task
    instructions: str
    fields: list[Asked]
    assignee: str


@dataclass(kw_only=True)
class IncidentPage(Page, template="incident.html", rail="incidents"):
    """One incident."""

    incident: Incident
    parts: list[tuple[str, str, UUID | None]]
    hold: SubjectHold | None
    doubts: list[Doubt]
    watching: bool
    people: list[User]
    before: Incident | None
    gathers: bool
    times: Times
    story: list[Told]
    said: dict[str, Any]
    older: str | None
    lens: str
    tasks: list[TaskShown]
    done_tasks: list[Task]
    runs: list[RunTold]
    actions: list[ActionTold]
    measures: list[Measure]
    startable: list[tuple[str, str]]
    observables: list[Listed]
    values_total: int
    judged: dict[UUID, Standing]
    verdicts: list[str]
    offers: dict[str, list[Offer]]
    asked_about: dict[tuple[str, str], list[ActionTold]]
    files: Sequence[Attachment]
    reporters: Sequence[Reporter]
    talked: Sequence[ReporterMessage]
    findings: list[Finding]
    findings_total: int
    taken: set[UUID]
    alerts: list[Alert]
    sent: list[Sent]
    next_stage: str | None
    stages: list[str]
    severities: list[str]
    confirmations: list[str]
    waiting_words: list[str]
    tlps: list[str]
    categories: tuple[str, ...]
    description: str


def find(session: Session, actor: Actor, key: str) -> Incident:
    """The incident of a key, if the actor may see it. Raises NotFound."""
    wanted = keys.read(key) or key
    meant = or_(Incident.key == str(wanted), Incident.id == as_id(key))
    incident = session.scalar(select(Incident).where(meant, visible_to(actor)))
    if incident is None:
        raise NotFound(_("There is no incident %(key)s, or you may not see it.") % {"key": key[:40]})
    return incident


def after(stage: str) -> str | None:
    """The stage that usually follows; None before closing."""
    order = [stage.value for stage in Stage]
    place = order.index(stage)
    return order[place + 1] if place + 1 < len(order) - 1 else None


LENSES = {
    "people": ("comment.", "attachment.", "reporter.", "task.", "incident.", "finding.", "review.", "follow_up."),
    "automation": ("run.", "step.", "action.", "approval.", "playbook.", "countermeasure.", "automation."),
    "pages": ("page.", "message."),
    "alerts": ("alert.", "incident.opened", "incident.alert_attached"),
}


def _story(
    session: Session, incident: Incident, lens: str, before: UUID | None, names: dict[UUID, str]
) -> tuple[list[Told], str | None]:
    starts = LENSES.get(lens)
    verbs = [name for name in journal.verbs() if name.startswith(starts)] if starts else None
    page = journal.page(session, ref=incident.ref, verbs=verbs, before=before, limit=STORY)
    return tell_all(page.items, names), str(page.next) if page.next else None


def _said(session: Session, actor: Actor, incident: Incident) -> dict[str, Any]:
    """Comments by the id of their entry's comment, rendered."""
    return {str(row.id): to_page(row.body) for row in comments.of_incident(session, actor, incident.id)}


def _tasks(
    session: Session, incident: Incident, names: dict[UUID, str]
) -> tuple[list[TaskShown], list[Task]]:
    rows = list(
        session.scalars(select(Task).where(Task.incident_id == incident.id).order_by(Task.created_at))
    )
    shown = [
        TaskShown(
            task=task,
            instructions=to_page(task.instructions),
            fields=asked(task.form, task.answers),
            assignee=names.get(task.assignee_id, "")
            if task.assignee_id
            else (task.assignee_role or task.assign or ""),
        )
        for task in rows
        if task.status == "open"
    ]
    return shown, [task for task in rows if task.status != "open"]


def _offers(
    session: Session, actor: Actor, incident: Incident, seen: Sequence[Listed]
) -> dict[str, list[Offer]]:
    """What this person may have done with values of each type that the incident holds."""
    if incident.closed_at is not None or not actor.may("action.run"):
        return {}
    return by_hand.offers(session, {one.type for one in seen})


@router.get("/incidents/{key}")
def one(request: Request, key: str, actor: Actor = allowed("incident.read")) -> Response:
    """One incident."""
    given = request.query_params
    lens = given.get("lens", "")
    try:
        place = UUID(given["after"]) if given.get("after") else None
    except ValueError as error:
        raise Invalid(_("This page's address is not complete; go to the first page.")) from error
    with reading() as session:
        incident = find(session, actor, key)
        everyone = users.everyone(session)
        names = {user.id: user.name for user in everyone}
        story, older = _story(session, incident, lens, place, names)
        tasks, done = _tasks(session, incident, names)
        seen = observables.of_incident(session, actor, incident.id, limit=MOST_VALUES)
        sightings = sum(len(value.roles) for value in seen)
        calls = response.actions_of(session, incident.ref, limit=MOST_CALLS)
        reporters = reporting.reporters(session, actor, incident.id)
        found = findings.of_incident(session, actor, incident.id, limit=MOST_FINDINGS)
        page = IncidentPage(
            incident=incident,
            parts=[(part.value, names.get(who, "") if who else "", who) for part, who in parts.held_by(incident).items()],
            hold=holds.of(session, incident.ref),
            doubts=containment.doubts(session, actor, about=incident),
            watching=following.watching(session, actor, incident.id),
            people=[user for user in everyone if user.disabled_at is None],
            before=session.scalar(
                select(Incident).where(Incident.id == incident.recurrence_of, visible_to(actor))
            )
            if incident.recurrence_of
            else None,
            gathers=storms.is_of_storm(incident.group_key) and incident.alert_count > 1,
            times=milestones.times(milestones.in_force(session, incident.id)),
            story=story,
            said=_said(session, actor, incident),
            older=older,
            lens=lens,
            tasks=tasks,
            done_tasks=done,
            runs=response.runs_of(session, incident.ref),
            actions=calls[:MOST_CALLS_SHOWN],
            measures=response.measures_of(session, incident.ref),
            startable=response.startable(session) if incident.closed_at is None else [],
            observables=seen,
            offers=_offers(session, actor, incident, seen),
            asked_about=response.by_value(calls),
            judged=verdicts.of_incident(session, actor, incident.id),
            verdicts=list(Judged),
            values_total=observables.number_in(session, actor, incident.id) if sightings >= MOST_VALUES else sightings,
            files=attachments.of_incident(session, actor, incident.id, limit=MOST_FILES_SHOWN),
            reporters=reporters,
            talked=reporting.conversation(session, actor, incident.id) if reporters else [],
            findings=found.items,
            findings_total=findings.number_in(session, actor, incident.id) if found.next else len(found.items),
            taken=findings.taken(session, incident.id) if found.next else {row.alert_id for row in found.items if row.alert_id},
            alerts=list(
                session.scalars(
                    select(Alert)
                    .where(Alert.incident_id == incident.id, alerts_visible_to(actor))
                    .order_by(Alert.created_at.desc())
                    .limit(20)
                )
            ),
            sent=woken.sent(session, incident.ref),
            next_stage=after(incident.stage) if incident.closed_at is None else None,
            stages=[stage.value for stage in Stage if stage is not Stage.closed],
            severities=[severity.value for severity in reversed(Severity)],
            confirmations=[word.value for word in Confirmation],
            waiting_words=[word.value for word in WaitingOn],
            tlps=[word.value for word in Tlp],
            categories=CATEGORIES,
            description=to_page(incident.description) if incident.description else "",
        )
    return show(request, page)


# ---------------------------------------------------------------------------------------------- what people do


def _id(actor: Actor, key: str) -> UUID:
    with reading() as session:
        return find(session, actor, key).id


def _version(form: Form) -> int | None:
    given = form.get("version")
    return int(given) if given.isdecimal() else None


@router.post("/incidents/{key}/take")
def take(key: str, actor: Actor = allowed("incident.edit")) -> Response:
    """Become the owner; from new it goes to triage at once."""
    incident_id = _id(actor, key)
    with unit_of_work() as uow:
        incident = lifecycle.assign(uow, actor, incident_id, actor.user_id)
        if incident.stage == Stage.new:
            lifecycle.move(uow, actor, incident_id, Stage.triage)
    return then(f"/incidents/{key}", _("It is yours."))


@router.post("/incidents/{key}/assign")
def assign(form: Form, key: str, actor: Actor = allowed("incident.edit")) -> Response:
    """Give it to somebody."""
    owner = form.get("owner")
    with unit_of_work() as uow:
        lifecycle.assign(uow, actor, _id(actor, key), UUID(owner) if owner else None, version=_version(form))
    return then(f"/incidents/{key}")


@router.post("/incidents/{key}/stage")
def move(form: Form, key: str, actor: Actor = allowed("incident.edit")) -> Response:
    """Move it to another stage."""
    with unit_of_work() as uow:
        lifecycle.move(uow, actor, _id(actor, key), form.get("to"), version=_version(form))
    return then(f"/incidents/{key}")


@router.post("/incidents/{key}/severity")
def severity(form: Form, key: str, actor: Actor = allowed("incident.edit")) -> Response:
    """Override the severity, with a reason."""
    with unit_of_work() as uow:
        lifecycle.change(
            uow, actor, _id(actor, key), {"severity": form.get("severity")}, reason=form.get("reason") or None
        )
    return then(f"/incidents/{key}")


@router.post("/incidents/{key}/change")
def change(form: Form, key: str, actor: Actor = allowed("incident.edit")) -> Response:
    """Change its title, marking, category and tags."""
    changes: dict[str, Any] = {
        "title": form.get("title"),
        "tlp": form.get("tlp"),
        "category": form.get("category") or None,
        "tags": [word for word in form.get("tags").replace(",", " ").split() if word],
        "techniques": [word.upper() for word in form.get("techniques").replace(",", " ").split() if word],
    }
    with unit_of_work() as uow:
        lifecycle.change(uow, actor, _id(actor, key), changes, version=_version(form))
    return then(f"/incidents/{key}", _("Saved."))


@router.post("/incidents/{key}/confirm")
def confirm(form: Form, key: str, actor: Actor = allowed("incident.declare")) -> Response:
    """Say whether it is an incident."""
    with unit_of_work() as uow:
        lifecycle.confirm(uow, actor, _id(actor, key), form.get("to"), because=form.get("because"))
    return then(f"/incidents/{key}")


@router.post("/incidents/{key}/wait")
def wait(form: Form, key: str, actor: Actor = allowed("incident.edit")) -> Response:
    """Say whom it waits for."""
    with unit_of_work() as uow:
        lifecycle.wait_on(uow, actor, _id(actor, key), form.get("whom") or None)
    return then(f"/incidents/{key}")


@router.post("/incidents/{key}/comment")
def comment(form: Form, key: str, actor: Actor = allowed("incident.comment")) -> Response:
    """Add a note, with the files it speaks of."""
    files = uploads.sent(form, "files")
    with unit_of_work() as uow:
        said = comments.add(uow, actor, _id(actor, key), str(form.form.get("body", "")))
        uow.flush()
        for file in files:
            attachments.add(uow, actor, said.incident_id, file, comment_id=said.id)
    return then(f"/incidents/{key}")


@router.post("/incidents/{key}/observables")
def observe(form: Form, key: str, actor: Actor = allowed("incident.edit")) -> Response:
    """Add a value that belongs to the case."""
    incident_id = _id(actor, key)
    with unit_of_work() as uow:
        for value in form.need("value", _("Write an address, a host, a user or a hash.")).split()[:50]:
            observables.attach(uow, actor, incident_id, form.get("type", "auto") or "auto", value)
    return then(f"/incidents/{key}")
