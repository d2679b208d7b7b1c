"""Guard rails: the hold, protected entities, budgets and block-list feeds."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors import blocklist, calls, entities, guards, rails, registry, shared_ranges
from connectors.contract import Entity
from connectors.guards import DEFAULT_BUDGETS, Protected
from connectors.models import HELD, ActionBudget, BlocklistEntry, BlocklistFeed, ProtectedEntity, Switch
from core import clock
from core.actors import Actor
from core.db import reading, unit_of_work
from core.errors import Invalid, NeedsSecondFactor, Problem, TocsinError
from core.four_eyes import Change
from core.journal import entries
from web import first_steps, four_eyes
from web.first_steps import Step
from web.languages import gettext as _
from web.pages import Page, show, then
from web.security import Form, allowed
from web.telling import Told, tell_all

router = APIRouter(include_in_schema=False)

HERE = "/settings/guardrails"
CHANGES = ("guard.changed", "automation.held", "automation.released")
SHOWN_ENTRIES = 100


@dataclass(kw_only=True)
class GuardrailsPage(Page, template="guardrails.html", rail="settings"):
    """Everything that stands between a decision and an effect."""

    held: Switch | None
    held_calls: int
    protected: list[ProtectedEntity]
    dated: str
    probe: str
    probed: list[tuple[Entity, str | None]]
    budgets: list[tuple[str, int, bool]]
    names: list[str]
    feeds: list[tuple[BlocklistFeed, bool]]
    entries: list[BlocklistEntry]
    more_entries: int
    changes: list[Told]
    waiting: list[Change]
    entered: dict[str, str]
    problems: list[Problem]
    where: str
    may_hold: bool
    may_release: bool
    may_change: bool
    may_publish: bool


@dataclass(kw_only=True)
class FeedPage(Page, template="feed_new.html", rail="settings"):
    """A new feed's address, shown once."""

    feed: BlocklistFeed
    url: str
    next_step: Step | None


@router.get("/settings/guardrails")
def everything(request: Request, probe: str = "", actor: Actor = allowed("connector.read")) -> Response:
    """All guard rails; with `probe`, whether something is protected."""
    return _page(request, actor, probe=probe.strip()[:300])


@router.post("/settings/guardrails/hold")
def hold(request: Request, form: Form, actor: Actor = allowed("automation.hold")) -> Response:
    """Hold everything that acts."""
    try:
        with unit_of_work() as uow:
            rails.hold_all(uow, actor, form.get("reason"))
    except Invalid as error:
        return _page(request, actor, problems=error.problems, where="hold")
    return then(HERE, _("All automation is held. Reading, and taking countermeasures back, go on."))


@router.post("/settings/guardrails/release")
def release(form: Form, actor: Actor = allowed("automation.release")) -> Response:
    """Let automation act again."""
    with unit_of_work() as uow:
        rails.release_all(uow, actor, form.get("reason"))
    return then(HERE, _("Automation may act again. What was held meanwhile still waits: look at each."))


@router.post("/settings/guardrails/protected")
def protect(request: Request, form: Form, actor: Actor = allowed("guard.change")) -> Response:
    """Protect something."""
    entered = {name: form.get(name) for name in ("kind", "value", "reason")}
    try:
        with unit_of_work() as uow:
            value = rails.protect(uow, actor, **entered, own=form.flag("own")).value
    except TocsinError as error:
        return _page(request, actor, entered=entered, problems=_problems(error), where="protected")
    return then(f"{HERE}#protected", _("Nothing disruptive will be done to %(value)s.") % {"value": value})


@router.post("/settings/guardrails/protected/{row_id}/remove")
def unprotect(row_id: UUID, actor: Actor = allowed("guard.change")) -> Response:
    """Protect it no longer."""
    with unit_of_work() as uow:
        told = four_eyes.said(rails.unprotect(uow, actor, row_id), _("It is protected no longer."))
    return then(f"{HERE}#protected", told)


@router.post("/settings/guardrails/budgets")
def budget(request: Request, form: Form, actor: Actor = allowed("guard.change")) -> Response:
    """Change how often automation may do something."""
    name, number = form.get("name"), form.get("per_hour")
    try:
        if number and not number.isdigit():
            raise Invalid(
                _("A budget is a whole number; empty means the default."), [Problem("per_hour", number)]
            )
        if name not in _names():
            raise Invalid(_("Choose an effect, a verb or an action."), [Problem("name", name)])
        with unit_of_work() as uow:
            change = rails.set_budget(uow, actor, name, int(number) if number else None)
            told = four_eyes.said(change, _("Changed; it counts from the next action on."))
    except NeedsSecondFactor:
        raise
    except TocsinError as error:
        return _page(request, actor, problems=_problems(error), where="budgets")
    return then(f"{HERE}#budgets", told)


@router.post("/settings/guardrails/feeds")
def publish(request: Request, form: Form, actor: Actor = allowed("connector.manage")) -> Response:
    """Publish a list, and show its address this once."""
    try:
        with unit_of_work() as uow:
            feed, url = blocklist.create_feed(uow, actor, name=form.get("name"), kind=form.get("kind"))
    except TocsinError as error:
        return _page(request, actor, problems=_problems(error), where="feeds")
    with reading() as session:
        following = first_steps.following(session, actor, "block")
    return show(request, FeedPage(feed=feed, url=url, next_step=following))


@router.post("/settings/guardrails/feeds/{feed_id}/disable")
def withdraw(feed_id: UUID, actor: Actor = allowed("connector.manage")) -> Response:
    """Answer a feed's address no more."""
    with unit_of_work() as uow:
        blocklist.disable_feed(uow, actor, feed_id)
    return then(f"{HERE}#feeds", _("This address answers no more. Remove it from the firewall as well."))


def _problems(error: TocsinError) -> list[Problem]:
    """The sentence of an error; single words of its parts say less."""
    return [Problem("", error.message)]


def _names() -> list[str]:
    """What a budget can be set for: an effect, a verb or an action that changes something."""
    changing = [action for action in registry.actions().values() if action.effect.rank > 0]
    verbs = {action.verb for action in changing if action.verb}
    return [*DEFAULT_BUDGETS, *sorted(verbs), *sorted(action.full_name for action in changing)]


def _budgets(session: Session) -> list[tuple[str, int, bool]]:
    """Name, most in an hour, and whether somebody has set it."""
    set_here = {
        row.name: row.per_hour for row in session.scalars(select(ActionBudget).order_by(ActionBudget.name))
    }
    shown = [(name, set_here.pop(name, number), name in set_here) for name, number in DEFAULT_BUDGETS.items()]
    return [*shown, *((name, number, True) for name, number in set_here.items())]


def _probed(session: Session, text: str) -> list[tuple[Entity, str | None]]:
    """What the text may be, and why nothing disruptive may be done to it (None: it may)."""
    protected = [Protected(row.kind, row.value, row.reason, row.own) for row in rails.protected(session)]
    guess = entities.entity("auto", text)
    named = (
        [guess] if guess else [found for kind in ("host", "user") if (found := entities.entity(kind, text))]
    )
    return [(entity, guards.protection(entity, protected)) for entity in named]


def _overdue(feed: BlocklistFeed, stale: datetime) -> bool:
    """Missed for longer than it usually takes; a list that was not fetched twice yet, for half an hour."""
    if feed.every_seconds is not None:
        return feed.silent_since is not None
    return (feed.fetched_at or feed.created_at) < stale


def _page(
    request: Request,
    actor: Actor,
    *,
    probe: str = "",
    entered: dict[str, str] | None = None,
    problems: list[Problem] | None = None,
    where: str = "",
) -> Response:
    stale = clock.now() - blocklist.STALE_AFTER
    with reading() as session:
        listed = list(blocklist.entries(session))
        page = GuardrailsPage(
            held=rails.held(session),
            held_calls=sum(call.state == HELD for call in calls.aside(session)),
            protected=list(rails.protected(session)),
            dated=shared_ranges.DATED,
            probe=probe,
            probed=_probed(session, probe) if probe else [],
            budgets=_budgets(session),
            names=_names(),
            feeds=[(feed, _overdue(feed, stale)) for feed in blocklist.feeds(session)],
            entries=listed[:SHOWN_ENTRIES],
            more_entries=max(0, len(listed) - SHOWN_ENTRIES),
            changes=tell_all(entries(session, verbs=CHANGES, limit=8)),
            waiting=four_eyes.waiting(session, rails.UNPROTECT.name, rails.BUDGET.name),
            entered=entered or {},
            problems=problems or [],
            where=where,
            may_hold=actor.may("automation.hold"),
            may_release=actor.may("automation.release"),
            may_change=actor.may("guard.change"),
            may_publish=actor.may("connector.manage"),
        )
    return show(request, page, status=422 if problems else 200)
