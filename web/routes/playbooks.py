"""Playbooks: the list, one with its steps as a drawing and its text, and starting one by hand."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy import func, select

from core import clock
from core.actors import Actor
from core.db import reading, unit_of_work
from core.errors import NotFound
from core.four_eyes import Change
from incidents import queries as record
from incidents.models import Incident
from incidents.visibility import visible_to
from playbooks import promoting, runs, storing
from playbooks.models import Playbook, PlaybookRun, PlaybookVersion
from playbooks.plan import Plan
from playbooks.promoting import Answers
from web import flow, four_eyes
from web.flow import Node
from web.languages import gettext as _
from web.pages import Page, show, then
from web.security import Form, allowed

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Shown:
    """A playbook in the list, with what its runs of 30 days came to."""

    playbook: Playbook
    triggers: list[str]
    steps: int
    runs: dict[str, int]


@dataclass(frozen=True)
class RunRow:
    """A run in a list, with its incident's key when the reader may see it."""

    run: PlaybookRun
    key: str | None
    title: str


@dataclass(kw_only=True)
class PlaybooksPage(Page, template="playbooks.html", rail="playbooks"):
    """Every playbook, and the runs that go on."""

    playbooks: list[Shown]
    live: list[RunRow]


@dataclass(kw_only=True)
class PlaybookPage(Page, template="playbook.html", rail="playbooks"):
    """One playbook."""

    playbook: Playbook
    plan: Plan
    nodes: list[Node]
    number: int
    applied_by: str
    digest: str
    source: str
    tab: str
    runs: list[RunRow]
    may_start: bool
    may_promote: bool
    answers: Answers
    waiting: list[Change]
    subjects: list[Incident]


def _rows(session: object, actor: Actor, found: list[PlaybookRun]) -> list[RunRow]:
    ids = [UUID(run.subject_id) for run in found if run.subject_kind == "incident"]
    seen = record.incidents_by_ids(session, actor, ids)  # type: ignore[arg-type]  # a Session of either kind
    rows = []
    for run in found:
        incident = seen.get(UUID(run.subject_id)) if run.subject_kind == "incident" else None
        if incident is not None or run.subject_kind != "incident":
            rows.append(RunRow(run, incident.key if incident else None, incident.title if incident else ""))
    return rows


@router.get("/playbooks")
def everything(request: Request, actor: Actor = allowed("playbook.read")) -> Response:
    """All playbooks."""
    since = clock.now() - timedelta(days=30)
    with reading() as session:
        rows = list(
            session.scalars(select(Playbook).where(Playbook.removed_at.is_(None)).order_by(Playbook.name))
        )
        counted = session.execute(
            select(PlaybookRun.playbook, PlaybookRun.state, func.count())
            .where(PlaybookRun.created_at > since)
            .group_by(PlaybookRun.playbook, PlaybookRun.state)
        )
        states: dict[str, dict[str, int]] = {}
        for playbook, state, number in counted:
            states.setdefault(playbook, {})[state] = number
        shown = []
        for row in rows:
            plan = storing.plan_of(session, row.version_id)
            triggers = [
                f"{trigger.on}{': ' + trigger.when if trigger.when else ''}" for trigger in plan.triggers
            ]
            shown.append(Shown(row, triggers, len(plan.steps), states.get(row.key, {})))
        live = _rows(
            session,
            actor,
            list(
                session.scalars(
                    select(PlaybookRun)
                    .where(PlaybookRun.ended_at.is_(None))
                    .order_by(PlaybookRun.created_at.desc())
                    .limit(50)
                )
            ),
        )
    return show(request, PlaybooksPage(playbooks=shown, live=live))


@router.get("/playbooks/{key}")
def one(request: Request, key: str, actor: Actor = allowed("playbook.read")) -> Response:
    """One playbook."""
    tab = request.query_params.get("tab", "steps")
    with reading() as session:
        row = session.scalar(select(Playbook).where(Playbook.key == key))
        if row is None:
            raise NotFound(_("There is no playbook %(key)s.") % {"key": key[:64]})
        version = session.get_one(PlaybookVersion, row.version_id)
        plan = storing.plan_of(session, row.version_id)
        found = session.scalars(
            select(PlaybookRun)
            .where(PlaybookRun.playbook == key)
            .order_by(PlaybookRun.created_at.desc())
            .limit(50)
        )
        page = PlaybookPage(
            playbook=row,
            plan=plan,
            nodes=flow.tree(plan),
            number=version.number,
            applied_by=version.applied_by,
            digest=version.digest,
            source=version.source,
            tab=tab if tab in ("steps", "text", "runs") else "steps",
            runs=_rows(session, actor, list(found)),
            may_start=actor.may("playbook.start") and row.removed_at is None,
            may_promote=actor.may("playbook.promote") and row.removed_at is None,
            answers=promoting.answers(session, key),
            waiting=[one for one in four_eyes.waiting(session, promoting.ACT.name) if one.payload["key"] == key],
            subjects=list(
                session.scalars(
                    select(Incident)
                    .where(Incident.closed_at.is_(None), visible_to(actor))
                    .order_by(Incident.created_at.desc())
                    .limit(50)
                )
            ),
        )
    return show(request, page)


@router.post("/playbooks/{key}/promote")
def promote(key: str, actor: Actor = allowed("playbook.promote")) -> Response:
    """Let it go one step further, once somebody else agrees."""
    with unit_of_work() as uow:
        told = four_eyes.said(promoting.promote(uow, actor, key), _("It goes one step further from its next run on."))
    return then(f"/playbooks/{key}", told)


@router.post("/playbooks/{key}/demote")
def demote(key: str, actor: Actor = allowed("playbook.promote")) -> Response:
    """Have it go one step back, at once."""
    with unit_of_work() as uow:
        row = promoting.demote(uow, actor, key)
    asks = row.mode == "ask"
    told = _("It asks again from its next run on.") if asks else _("It only watches from its next run on.")
    return then(f"/playbooks/{key}", told)


@router.post("/playbooks/{key}/start")
def start(form: Form, key: str, actor: Actor = allowed("playbook.start")) -> Response:
    """Start it on an incident."""
    with reading() as session:
        incident = record.incident(session, actor, form.need("incident", _("Choose an incident.")))
    with unit_of_work() as uow:
        run = runs.start(
            uow,
            actor,
            playbook=key,
            subject=incident.ref,
            inputs=form.starting("input."),
            trigger={"on": "by hand"},
        )
        run_id = run.id
    return then(f"/runs/{run_id}", _("Started on %(key)s.") % {"key": incident.key})


@router.post("/incidents/{key}/runs")
def start_here(form: Form, key: str, actor: Actor = allowed("playbook.start")) -> Response:
    """Start a playbook from the incident's page."""
    with reading() as session:
        incident = record.incident(session, actor, key)
    with unit_of_work() as uow:
        runs.start(uow, actor, playbook=form.get("playbook"), subject=incident.ref, trigger={"on": "by hand"})
    return then(f"/incidents/{incident.key}")
