"""Escalation policies: who is paged first, who then, and who when nobody answers."""

from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy.orm import Session

from core import clock
from core.actors import Actor
from core.db import reading, unit_of_work
from core.errors import Problem, TocsinError
from core.four_eyes import Change
from notify import queries
from notify.escalation import Target
from notify.models import Policy, PolicyStep
from notify.oncall import policy_editing, saving
from notify.oncall.policy_editing import PolicyDraft, StepDraft
from notify.policies import ACK_TIMEOUT, CATCH_ALL_WAITS
from web import four_eyes
from web.languages import gettext as _
from web.page_plan import Reached, in_words, targets_in_words
from web.pages import Page, show, then
from web.security import Fields, Form, allowed

router = APIRouter(include_in_schema=False)

MOST_STEPS = 12


@dataclass(frozen=True, kw_only=True)
class PolicyTold:
    """A policy with its steps in words, and what in it would not reach anybody."""

    policy: Policy
    steps: list[tuple[int, tuple[Reached, ...]]]
    last: tuple[Reached, ...]
    warnings: list[str]


@dataclass(kw_only=True)
class PoliciesPage(Page, template="policies.html", rail="oncall"):
    """All policies."""

    policies: list[PolicyTold]
    schedules: int
    waiting: list[Change]
    may_manage: bool


@dataclass(frozen=True, kw_only=True)
class StepEntered:
    """A step as typed: targets as "kind:id", how many minutes it waits."""

    targets: tuple[str, ...] = ()
    minutes: str = "5"


@dataclass(kw_only=True)
class PolicyFormPage(Page, template="policy_edit.html", rail="oncall"):
    """The form for a policy."""

    policy_id: UUID | None
    version: str
    entered: dict[str, str]
    steps: list[StepEntered]
    catch_all: StepEntered
    targets: list[tuple[str, Reached]]
    warnings: list[str]
    problems: list[Problem]


@router.get("/oncall/policies")
def every(request: Request, actor: Actor = allowed("user.read")) -> Response:
    """All policies, and what in them would not reach anybody."""
    at = clock.now()
    with reading() as session:
        known = targets_in_words(session, at)
        told = [
            PolicyTold(
                policy=policy,
                steps=[(step.delay, in_words(known, step.targets)) for step in steps],
                last=in_words(known, policy.catch_all["targets"]),
                warnings=policy_editing.warnings(session, _in_force(policy, steps), now=at),
            )
            for policy, steps in queries.all_policies(session)
        ]
        page = PoliciesPage(
            policies=told,
            schedules=len(queries.all_schedules(session)),
            waiting=four_eyes.waiting(session, saving.DEFAULT.name),
            may_manage=actor.may("oncall.manage"),
        )
    return show(request, page)


@router.get("/oncall/policies/new")
def new(request: Request, actor: Actor = allowed("oncall.manage")) -> Response:
    """The form, begun with the first schedule and oneself as the catch-all."""
    with reading() as session:
        schedules = queries.all_schedules(session)
        first = not queries.all_policies(session)
    begun = StepEntered(targets=tuple(f"schedule:{row.id}" for row in schedules[:1]))
    entered = {
        "name": _("default") if first else "",
        "description": "",
        "repeat": "1",
        "ack": _minutes(ACK_TIMEOUT),
        "default": "1" if first else "",
    }
    return _form(request, None, "", entered, [begun], StepEntered(targets=(f"user:{actor.id}",)), [])


@router.get("/oncall/policies/{policy_id}")
def edit(request: Request, policy_id: UUID, actor: Actor = allowed("oncall.manage")) -> Response:
    """The form with what is in force."""
    del actor
    with reading() as session:
        policy = policy_editing.policy_by_id(session, policy_id)
        steps = next(steps for found, steps in queries.all_policies(session) if found.id == policy_id)
    entered = {
        "name": policy.name,
        "description": policy.description,
        "repeat": str(policy.repeat),
        "ack": _minutes(policy.ack_timeout),
        "default": "1" if policy.is_default else "",
    }
    typed = [
        StepEntered(
            targets=tuple(f"{t['kind']}:{t['id']}" for t in step.targets), minutes=_minutes(step.delay)
        )
        for step in steps
    ]
    last = StepEntered(
        targets=tuple(f"{t['kind']}:{t['id']}" for t in policy.catch_all["targets"]),
        minutes=_minutes(policy.catch_all.get("delay", 300)),
    )
    return _form(request, policy_id, str(policy.version), entered, typed, last, [])


@router.post("/oncall/policies/new")
def create(request: Request, form: Form, actor: Actor = allowed("oncall.manage")) -> Response:
    """Add the policy."""
    return _save(request, form, actor, None)


@router.post("/oncall/policies/{policy_id}")
def change(
    request: Request, form: Form, policy_id: UUID, actor: Actor = allowed("oncall.manage")
) -> Response:
    """Replace the policy; pages under way keep the one they started with."""
    return _save(request, form, actor, policy_id)


def _save(request: Request, form: Fields, actor: Actor, policy_id: UUID | None) -> Response:
    entered = {name: form.get(name) for name in ("name", "description", "repeat", "ack", "default")}
    steps = [_typed(form, f"s{number}.") for number in range(MOST_STEPS) if f"s{number}.minutes" in form.form]
    last, version = _typed(form, "last."), form.get("version")
    if form.flag("more"):
        return _form(request, policy_id, version, entered, [*steps, StepEntered()], last, [])
    draft = PolicyDraft(
        name=entered["name"],
        description=entered["description"],
        repeat=int(entered["repeat"]) if entered["repeat"].isdecimal() else -1,
        steps=tuple(StepDraft(_targets(step), _seconds(step)) for step in steps if step.targets),
        catch_all=_targets(last),
        catch_all_delay=_seconds(last) or CATCH_ALL_WAITS,
        is_default=bool(entered["default"]),
        ack_timeout=_typed_seconds(entered["ack"]) if entered["ack"] else ACK_TIMEOUT,
    )
    try:
        with unit_of_work() as uow:
            known = int(version) if version.isdecimal() else None
            proposed = saving.save(uow, actor, policy_id, draft, version=known)
            doubts = policy_editing.warnings(uow, draft, now=uow.now)
            told = _("Saved; look at what it says below.") if doubts else _("Saved. It is in force.")
            told = four_eyes.said(proposed, told)
    except TocsinError as error:
        if error.status not in (409, 412, 422):
            raise
        problems = getattr(error, "problems", None) or [Problem("", error.message)]
        return _form(request, policy_id, version, entered, steps, last, problems)
    return then("/oncall/policies", told)


def _form(
    request: Request, policy_id: UUID | None, version: str, entered: dict[str, str], steps: list[StepEntered],
    last: StepEntered, problems: list[Problem],
) -> Response:  # fmt: skip
    with reading() as session:
        known = targets_in_words(session, clock.now())
        doubts = _doubts(session, policy_id)
    order = {"schedule": 0, "user": 1, "contact": 2}
    options = sorted(known.items(), key=lambda item: (order[item[0][0]], item[1].name.lower()))
    page = PolicyFormPage(
        policy_id=policy_id,
        version=version,
        entered=entered,
        steps=steps or [StepEntered()],
        catch_all=last,
        targets=[(f"{kind}:{number}", reached) for (kind, number), reached in options],
        warnings=doubts,
        problems=problems,
    )
    return show(request, page, status=422 if problems else 200)


def _doubts(session: Session, policy_id: UUID | None) -> list[str]:
    for policy, steps in queries.all_policies(session):
        if policy.id == policy_id:
            return policy_editing.warnings(session, _in_force(policy, steps), now=clock.now())
    return []


def _in_force(policy: Policy, steps: list[PolicyStep]) -> PolicyDraft:
    """A policy's rows as a draft."""
    return PolicyDraft(
        name=policy.name,
        steps=tuple(
            StepDraft(tuple(Target(t["kind"], t["id"]) for t in step.targets), step.delay) for step in steps
        ),
        catch_all=tuple(Target(t["kind"], t["id"]) for t in policy.catch_all["targets"]),
        repeat=policy.repeat,
        ack_timeout=policy.ack_timeout,
    )


def _typed(form: Fields, of: str) -> StepEntered:
    return StepEntered(
        targets=tuple(dict.fromkeys(form.many(f"{of}target"))), minutes=form.get(f"{of}minutes")
    )


def _targets(entered: StepEntered) -> tuple[Target, ...]:
    return tuple(
        Target(kind, number) for kind, _sep, number in (text.partition(":") for text in entered.targets)
    )


def _minutes(seconds: int) -> str:
    return f"{seconds / 60:g}"


def _seconds(entered: StepEntered) -> int:
    """Minutes as typed, "0.5" too; 0 when they are no number, which the check then refuses."""
    return max(_typed_seconds(entered.minutes), 0)


def _typed_seconds(minutes: str) -> int:
    """The same; -1 when they are no number."""
    try:
        return round(float(minutes.replace(",", ".")) * 60)
    except (ValueError, OverflowError):
        return -1
