"""What is ignored for a time: the list with what each hid, ending and extending it, and saying it from an alert."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter, Request, Response

from core.actors import Actor
from core.auth import users
from core.auth.models import User
from core.db import reading, unit_of_work
from core.errors import Invalid, Problem, TocsinError
from incidents import accepting, queries
from incidents.acceptance_models import Acceptance
from incidents.accepting import AcceptanceDraft
from incidents.models import Alert
from incidents.visibility import as_id
from web import keyset
from web.languages import gettext as _
from web.pages import Page, show, then
from web.security import Form, allowed

router = APIRouter(include_in_schema=False)

LIST = "/ignored"
SOURCE = "source"
"""As `back`: the page of the alert's source, where the loudest are offered."""


@dataclass(kw_only=True)
class IgnoredPage(Page, template="ignored.html", rail="alerts"):
    """What is ignored now, or was."""

    rows: list[Acceptance]
    owners: Mapping[UUID, str]
    live: int
    past: bool
    days: Sequence[int]
    may_accept: bool
    next: str | None
    first: str | None


@dataclass(kw_only=True)
class IgnorePage(Page, template="alert_ignore.html", rail="alerts"):
    """The form that says what is to be ignored, why, and for how long."""

    alert: Alert
    incident_key: str | None
    named: list[tuple[str, tuple[str, str, str]]]
    people: list[User]
    days: Sequence[int]
    entered: dict[str, str]
    problems: list[Problem]
    ask_criticals: bool


@router.get("/ignored")
def everything(request: Request, actor: Actor = allowed("incident.read")) -> Response:
    """What is ignored, newest first."""
    given = request.query_params
    past = given.get("state") == "ended"
    after = given.get("after") or None
    with reading() as session:
        found = accepting.listed(session, actor, live=not past, before=after)
        live = accepting.number_live(session, actor)
        names = users.names(session)
    page = IgnoredPage(
        rows=found.items,
        owners=names,
        live=live,
        past=past,
        days=accepting.DAYS,
        may_accept=actor.may("alert.accept"),
        next=keyset.address(LIST, given, after=found.next) if found.next else None,
        first=keyset.address(LIST, given) if after else None,
    )
    return show(request, page)


@router.post("/ignored/{acceptance_id}/end")
def end(acceptance_id: UUID, actor: Actor = allowed("alert.accept")) -> Response:
    """Look at such alerts again."""
    with unit_of_work() as uow:
        row = accepting.end(uow, actor, acceptance_id)
        name = row.rule_name
    return then(LIST, _("“%(name)s” is judged like any other alert again.") % {"name": name[:100]})


@router.post("/ignored/{acceptance_id}/extend")
def extend(form: Form, acceptance_id: UUID, actor: Actor = allowed("alert.accept")) -> Response:
    """Ignore it for longer."""
    with unit_of_work() as uow:
        row = accepting.extend(uow, actor, acceptance_id, _number(form.get("days")))
        until = row.until
    return then(LIST, _("It is ignored until %(day)s.") % {"day": f"{until:%Y-%m-%d}"})


@router.get("/alerts/{alert_id}/ignore")
def ask(request: Request, alert_id: UUID, actor: Actor = allowed("alert.accept")) -> Response:
    """The form, with the likeliest thing chosen."""
    given = request.query_params
    days = given.get("days", "")
    asked = {"days": days if _number(days) in accepting.DAYS else "30", "back": given.get("back", "")[:10]}
    if entity := given.get("entity", ""):
        asked["entity"] = entity
    return _form(request, actor, alert_id, asked, [])


@router.post("/alerts/{alert_id}/ignore")
def ignore(request: Request, form: Form, alert_id: UUID, actor: Actor = allowed("alert.accept")) -> Response:
    """Ignore what is like this alert."""
    entered = {name: form.get(name) for name in ("entity", "days", "reason", "owner", "criticals", "back")}
    try:
        draft = AcceptanceDraft(
            entity=entity_of(entered["entity"]),
            days=_number(entered["days"]),
            reason=entered["reason"],
            owner=as_id(entered["owner"]),
            criticals=bool(entered["criticals"]),
        )
        with unit_of_work() as uow:
            row = accepting.accept(uow, actor, alert_id, draft)
            until, source = row.until, row.source
    except Invalid as error:
        return _form(request, actor, alert_id, entered, error.problems or [Problem("", error.message)])
    except TocsinError as error:
        return _form(request, actor, alert_id, entered, [Problem("", error.message)])
    on = f"/settings/sources/{source}" if entered["back"] == SOURCE and actor.may("source.read") else LIST
    return then(on, _("Such alerts are ignored until %(day)s.") % {"day": f"{until:%Y-%m-%d}"})


def entity_of(text: str) -> tuple[str, str, str]:
    """What a field of a form names: type, role and value, with bars between them."""
    kind, _bar, rest = text.partition("|")
    role, _bar, value = rest.partition("|")
    return kind, value, role


def as_field(entity: tuple[str, str, str]) -> str:
    """The same the other way round."""
    kind, value, role = entity
    return f"{kind}|{role}|{value}"


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 5 else 0


def _form(
    request: Request, actor: Actor, alert_id: UUID, entered: dict[str, str], problems: list[Problem]
) -> Response:
    with reading() as session:
        alert = queries.alert(session, actor, alert_id)
        case = queries.incidents_by_ids(session, actor, [alert.incident_id] if alert.incident_id else [])
        people = [user for user in users.everyone(session) if user.disabled_at is None]
    incident = next(iter(case.values()), None)
    named = [(as_field(entity), entity) for entity in accepting.entities_of(alert)]
    if entered.get("entity") not in dict(named) and named:
        entered = {**entered, "entity": named[0][0]}
    page = IgnorePage(
        alert=alert,
        incident_key=incident.key if incident and incident.closed_at is None else None,
        named=named,
        people=people,
        days=accepting.DAYS,
        entered={"reason": "", "owner": actor.id, "back": "", **entered},
        problems=problems,
        ask_criticals=any(problem.path == "criticals" for problem in problems),
    )
    return show(request, page, status=422 if problems else 200)
