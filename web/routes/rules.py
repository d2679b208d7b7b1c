"""Grouping rules: in which order alerts become incidents, and why; editing one and trying it on recent alerts."""

from dataclasses import dataclass
from datetime import timedelta
from typing import cast
from uuid import UUID

from fastapi import APIRouter, Request, Response

from core.actors import Actor
from core.db import reading, unit_of_work
from core.errors import Invalid, Problem, TocsinError
from incidents import rules, trying
from incidents.grouping import ACTIONS, DEFAULT_KEY, Action, Rule, check, spoken
from incidents.models import GroupingRule
from incidents.schema import ALERT
from incidents.trying import Trial
from web.languages import gettext as _
from web.pages import Page, show, then
from web.security import Fields, Form, allowed

router = APIRouter(include_in_schema=False)

LIST = "/settings/rules"


@dataclass(kw_only=True)
class RulesPage(Page, template="rules.html", rail="settings"):
    """All rules in their order."""

    rules: list[tuple[GroupingRule, str]]
    failing: int
    may_edit: bool


@dataclass(kw_only=True)
class RulePage(Page, template="rule.html", rail="settings"):
    """One rule in the editor, with what it may speak of and what it would have done."""

    rule: GroupingRule | None
    entered: dict[str, str]
    problems: list[Problem]
    actions: list[tuple[str, str]]
    known: list[tuple[str, str]]
    examples: list[tuple[str, str]]
    trial: Trial | None
    may_edit: bool


def action_words() -> dict[str, str]:
    """What each action does with an alert that matches."""
    return {
        "open": _("Open an incident, or join the live one of the same group"),
        "attach": _("Join the live incident of the same group; without one, ask the next rule"),
        "keep": _("Keep it as an alert and ask no further rule"),
    }


@router.get("/settings/rules")
def everything(request: Request, actor: Actor = allowed("incident.read")) -> Response:
    """All rules."""
    with reading() as session:
        rows = list(rules.listed(session))
    page = RulesPage(
        rules=[(row, spoken(timedelta(seconds=row.window_seconds))) for row in rows],
        failing=sum(row.enabled and row.failures > 0 for row in rows),
        may_edit=actor.may("grouping_rule.edit"),
    )
    return show(request, page)


@router.get("/settings/rules/new")
def new(request: Request, actor: Actor = allowed("grouping_rule.edit")) -> Response:
    """The editor for a new rule."""
    entered = {
        "name": "",
        "when": "",
        "action": "open",
        "key": DEFAULT_KEY,
        "why": "",
        "threshold": "1",
        "window": "30",
    }
    return _editor(request, actor, None, entered)


@router.post("/settings/rules/new")
def add(request: Request, form: Form, actor: Actor = allowed("grouping_rule.edit")) -> Response:
    """Add a rule at the end, or try it."""
    return _saved_or_tried(request, actor, None, form)


@router.get("/settings/rules/{rule_id}")
def one(request: Request, rule_id: UUID, actor: Actor = allowed("incident.read")) -> Response:
    """One rule."""
    with reading() as session:
        row = rules.get(session, rule_id)
    return _editor(request, actor, row, _entered(row))


@router.post("/settings/rules/{rule_id}")
def change(
    request: Request, form: Form, rule_id: UUID, actor: Actor = allowed("grouping_rule.edit")
) -> Response:
    """Save a rule, or try it as it stands in the form."""
    with reading() as session:
        row = rules.get(session, rule_id)
    return _saved_or_tried(request, actor, row, form)


@router.post("/settings/rules/{rule_id}/switch")
def switch(form: Form, rule_id: UUID, actor: Actor = allowed("grouping_rule.edit")) -> Response:
    """Use a rule, or leave it out."""
    with unit_of_work() as uow:
        row = rules.switch(uow, actor, rule_id, enabled=form.get("enabled") == "yes")
        said = (
            _("“%(name)s” is asked from now on.") if row.enabled else _("“%(name)s” is left out from now on.")
        )
        name = row.name
    return then(LIST, said % {"name": name})


@router.post("/settings/rules/{rule_id}/move")
def move(form: Form, rule_id: UUID, actor: Actor = allowed("grouping_rule.edit")) -> Response:
    """Ask a rule earlier or later."""
    with unit_of_work() as uow:
        rules.move(uow, actor, rule_id, up=form.get("to") == "up")
    return then(LIST)


@router.post("/settings/rules/{rule_id}/remove")
def remove(rule_id: UUID, actor: Actor = allowed("grouping_rule.edit")) -> Response:
    """Delete a rule."""
    with unit_of_work() as uow:
        name = rules.get(uow, rule_id).name
        rules.remove(uow, actor, rule_id)
    return then(LIST, _("“%(name)s” is gone; incidents it opened stay.") % {"name": name})


def _saved_or_tried(request: Request, actor: Actor, row: GroupingRule | None, form: Fields) -> Response:
    entered = {
        name: form.get(name) for name in ("name", "when", "action", "key", "why", "threshold", "window")
    }
    trial: Trial | None = None
    try:
        rule = _read(entered)
        if form.get("do") == "try":
            check(rule)
            with reading() as session:
                trial = trying.try_rule(session, actor, rule)
            return _editor(request, actor, row, entered, trial=trial)
        with unit_of_work() as uow:
            enabled = row.enabled if row else True
            rules.save(uow, actor, rule, rule_id=row.id if row else None, enabled=enabled)
    except TocsinError as error:
        problems = getattr(error, "problems", None) or [Problem("", error.message)]
        return _editor(request, actor, row, entered, problems=problems)
    return then(LIST, _("Saved; the next alert is judged this way."))


def _read(entered: dict[str, str]) -> Rule:
    """The rule of the form; what its parts mean is checked when it is tried or saved."""
    numbers: dict[str, int] = {}
    for name in ("threshold", "window"):
        if not entered[name].isdigit():
            message = _("“%(text)s” is not a number.") % {"text": entered[name]}
            raise Invalid(message, [Problem(name, message)])
        numbers[name] = int(entered[name][:9])
    if not entered["name"] or len(entered["name"]) > 200:
        message = _("Give the rule a name: incidents that it opens say it.")
        raise Invalid(message, [Problem("name", message)])
    window = timedelta(minutes=numbers["window"])
    action = cast(Action, entered["action"])
    return Rule(
        entered["name"], entered["when"], action, entered["key"], entered["why"], numbers["threshold"], window
    )


def _entered(row: GroupingRule) -> dict[str, str]:
    window = str(row.window_seconds // 60)
    return {
        "name": row.name, "when": row.when, "action": row.action, "key": row.key, "why": row.why,
        "threshold": str(row.threshold), "window": window,
    }  # fmt: skip


def _editor(
    request: Request,
    actor: Actor,
    row: GroupingRule | None,
    entered: dict[str, str],
    *,
    problems: list[Problem] | None = None,
    trial: Trial | None = None,
) -> Response:
    words = action_words()
    page = RulePage(
        rule=row,
        entered=entered,
        problems=problems or [],
        actions=[(name, words[name]) for name in ACTIONS],
        known=[
            (path, str(kind)) for path, kind in ALERT.paths() if path not in ("alert", "alert.observables")
        ],
        examples=_examples(),
        trial=trial,
        may_edit=actor.may("grouping_rule.edit"),
    )
    return show(request, page, status=422 if problems else 200)


def _examples() -> list[tuple[str, str]]:
    """Conditions to start from."""
    return [
        (_("High and above"), "alert.severity_rank >= 4"),
        (_("Malware on a laptop"), 'alert.category == "malware" && alert.host.startsWith("laptop-")'),
        (_("From our own network"), 'inNetwork(alert.ip, "10.0.0.0/8")'),
        (_("A tag or a technique"), '"vip" in alert.tags || "T1003.001" in alert.techniques'),
        (_("One noisy rule"), 'alert.source == "wazuh" && alert.rule_id == "5710"'),
    ]
