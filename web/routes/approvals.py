"""An approval: what exactly will be done, to what, on which evidence, and what happens if nobody answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy import select

from connectors.registry import actions, verbs
from core.actors import Actor
from core.auth import users
from core.db import database_now, reading, unit_of_work
from core.errors import Invalid, NotFound, Problem
from incidents import observables
from incidents import queries as record
from incidents.alert_models import Alert
from incidents.models import Incident
from incidents.observables import Listed
from incidents.visibility import alerts_visible_to
from playbooks import alone, ports, runs, storing
from playbooks.asking import DISRUPTIVE
from playbooks.models import PlaybookRun, StepAttempt, Vote, Wait
from playbooks.plan import Step
from web import stepping_up
from web.flow import effect_of, values
from web.foretelling import Ahead, Foretold
from web.languages import gettext as _
from web.pages import Page, show, then
from web.security import Form, allowed

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Act:
    """One thing that would be done."""

    name: str
    title: str
    effect: str
    inputs: list[tuple[str, Foretold]]
    undo: str


@dataclass(kw_only=True)
class ApprovalPage(Page, template="approval.html"):
    """One question."""

    wait: Wait
    run: PlaybookRun
    step: StepAttempt
    incident: Incident | None
    ask: str
    why: str
    acts: list[Act]
    worst: str
    asked_of: list[str]
    quorum: int
    must: list[str]  # of whom one each must be among those who agree
    votes: list[Vote]
    expires: datetime | None
    stands_still: bool  # automation is stopped: the time for an answer does not run
    on_expire: str
    four_eyes: bool
    evidence: list[Alert]
    seen: list[Listed]
    may_answer: bool
    voted: bool
    alone_from: datetime | None  # when who has agreed may go on alone
    alone_now: bool
    alone_minutes: int | None
    decided: bool
    factor: str  # what agreeing asks for, as stepping_up.asked_for says


def act(what: dict[str, Any], ahead: Ahead | None = None, step: Step | None = None) -> Act:
    """One member of a question's `what`; of a `step` not reached yet, what can be told of it now."""
    name = str(what.get("action") or what.get("name") or "")
    found = actions().get(name) or next(iter(verbs().get(name, ())), None)
    undo = ""
    if found is not None:
        undo = (
            _("It can be taken back.")
            if found.undo
            else _("It cannot be taken back: %(why)s")
            % {"why": found.no_undo or _("the product has no such action")}
        )
    title = str(what.get("title") or what.get("name") or (found.title if found else name))
    inputs = [(key, Foretold(text)) for key, text in values(what.get("inputs"))]
    if ahead is not None and step is not None and not inputs:
        title, inputs = ahead.title(step), ahead.inputs(step)
    return Act(
        name=name, title=title, effect=str(what.get("effect") or effect_of(name)), inputs=inputs, undo=undo
    )


def acts_of(asked: Sequence[Any], ahead: Ahead, approval: str) -> list[Act]:
    """Everything a question is about; the steps that an approval covers come in the plan's order."""
    later: dict[str, list[Step]] = {}
    for step in ahead.plan.steps.values():
        if step.cover == approval and step.kind == "action":
            later.setdefault(str(step.spec.get("action")), []).append(step)
    found = []
    for what in asked:
        if isinstance(what, dict):
            steps = later.get(str(what.get("action")), [])
            found.append(act(what, ahead, steps.pop(0) if steps else None))
    return found


def _whom(entry: str, names: dict[str, str]) -> str:
    """Somebody who is asked, in words: a person's name, "any responder", "whoever is on call: soc"."""
    kind, _colon, name = entry.partition(":")
    if kind == "role":
        return _("any %(role)s") % {"role": _(name)}
    if kind == "on_call":
        return _("whoever is on call: %(schedule)s") % {"schedule": name}
    return _("the lead") if entry == "owner" else names.get(entry, entry)


ORDER = ("", "read", "write", "disruptive", "destructive")
WORD = "APPROVE"


def worst(acts: Sequence[Act]) -> str:
    """The strongest effect of what would be done."""
    return max(
        (one.effect for one in acts),
        key=lambda effect: ORDER.index(effect) if effect in ORDER else 0,
        default="",
    )


@router.get("/approvals/{wait_id}")
def one(request: Request, wait_id: UUID, actor: Actor = allowed("playbook.read")) -> Response:
    """The question; the answer is a POST."""
    with reading() as session:
        wait = session.get(Wait, wait_id)
        run = session.get(PlaybookRun, wait.run_id) if wait is not None and wait.kind == "approval" else None
        if wait is None or run is None or not ports.current().visible(session, actor, run.subject):
            raise NotFound(_("There is no such question, or you may not see it."))
        incident = None
        evidence: list[Alert] = []
        seen: list[Listed] = []
        if run.subject_kind == "incident":
            incident = record.incidents_by_ids(session, actor, [UUID(run.subject_id)]).get(
                UUID(run.subject_id)
            )
        if incident is not None:
            evidence = list(
                session.scalars(
                    select(Alert)
                    .where(Alert.incident_id == incident.id, alerts_visible_to(actor))
                    .order_by(Alert.created_at.desc())
                    .limit(6)
                )
            )
            seen = observables.of_incident(session, actor, incident.id, limit=12)
        detail = wait.detail
        step = session.get_one(StepAttempt, wait.attempt_id)
        loaded = storing.load(session, [run.id])[run.id]
        names = {f"user:{user.id}": user.name for user in users.everyone(session)}
        votes = list(session.scalars(select(Vote).where(Vote.wait_id == wait.id).order_by(Vote.created_at)))
        ahead = Ahead(loaded.plan, loaded.state, ports.current().facts(session, run.subject))
        acts = acts_of(detail.get("what", []), ahead, step.path)
        mine = next((vote for vote in votes if vote.user_id == actor.user_id), None)
        alone_from = alone.may_from(wait, mine)
        decided = wait.answered_at is not None or wait.closed_at is not None
        page = ApprovalPage(
            wait=wait,
            run=run,
            step=step,
            incident=incident,
            ask=str(detail.get("ask", "")),
            why=str(detail.get("why") or ""),
            acts=acts,
            worst=worst(acts),
            asked_of=[_whom(who, names) for who in detail.get("from", [])],
            quorum=int(detail.get("quorum") or 1),
            must=[_whom(who, names) for who in detail.get("must") or ()],
            votes=votes,
            expires=wait.due_at,
            stands_still=not decided and (ports.current().held(session) or bool(ports.current().stopped(session, [run.subject]))),
            on_expire=str(detail.get("on_expire") or "deny"),
            four_eyes=bool(detail.get("four_eyes")),
            evidence=evidence,
            seen=seen,
            may_answer=actor.may("approval.answer")
            and ports.current().may_answer(session, actor, list(detail.get("from", [])), run.subject),
            voted=mine is not None,
            alone_from=alone_from,
            alone_now=alone_from is not None and alone_from <= database_now(session),
            alone_minutes=int(float(detail["alone_after"]) // 60) if detail.get("alone_after") else None,
            decided=decided,
            factor=stepping_up.asked_for(session, actor, worst(acts)),
        )
    return show(request, page)


@router.post("/approvals/{wait_id}")
def answer(form: Form, wait_id: UUID, actor: Actor = allowed("approval.answer")) -> Response:
    """Approve or refuse."""
    by_oneself = form.get("answer") == "alone"
    approve = by_oneself or form.get("answer") == "approve"
    with unit_of_work() as uow:
        wait = uow.get(Wait, wait_id)
        asked = [act(what) for what in wait.detail.get("what", []) if isinstance(what, dict)] if wait else []
        if approve and worst(asked) in DISRUPTIVE and form.get("word").upper() != WORD:
            message = _("This disrupts: to approve it, type %(word)s.") % {"word": WORD}
            raise Invalid(message, [Problem("word", message)])
        said = {"approve": approve, "reason": form.get("reason"), "alone": by_oneself}
        runs.answer(uow, actor, wait_id, said)
    return then(f"/approvals/{wait_id}", _("You approved it.") if approve else _("You refused it."))
