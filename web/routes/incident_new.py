"""A new incident by hand, in one short form: a phone call, a walk-in, something somebody found."""

from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy import select

from connectors.contract import CATEGORIES, Entity
from core.actors import Actor
from core.db import reading, unit_of_work
from core.errors import Invalid, Problem, TocsinError
from core.types import Severity
from incidents import attachments, lifecycle, named
from incidents.alert_models import Alert
from incidents.lifecycle import IncidentDraft
from incidents.stages import Kind
from incidents.visibility import alerts_visible_to
from web import uploads
from web.languages import gettext as _
from web.pages import Page, show, then
from web.security import Fields, Form, allowed

router = APIRouter(include_in_schema=False)


@dataclass(kw_only=True)
class NewIncidentPage(Page, template="incident_new.html", rail="incidents"):
    """A new incident by hand; `found` is what its words name, `offered` whether that has been shown already."""

    entered: dict[str, str]
    problems: list[Problem]
    severities: list[str]
    kinds: list[str]
    categories: tuple[str, ...]
    alert: Alert | None
    offered: bool
    found: list[Entity]
    unticked: set[str]
    sounds: str | None


@router.get("/incidents/new")
def new(request: Request, actor: Actor = allowed("incident.open")) -> Response:
    """The form; with `?alert=` it is filled in from an alert."""
    alert = _alert(actor, request.query_params.get("alert"))
    entered = (
        {"title": alert.title, "severity": alert.severity, "category": alert.category or ""} if alert else {}
    )
    return _form(request, entered, [], alert)


def _form(
    request: Request,
    entered: dict[str, str],
    problems: list[Problem],
    alert: Alert | None,
    form: Fields | None = None,
) -> Response:
    words = (entered.get("title", ""), entered.get("description", ""))
    unticked = set(form.many("shown")) - set(form.many("value")) if form is not None else set()
    page = NewIncidentPage(
        entered=entered,
        problems=problems,
        severities=[severity.value for severity in reversed(Severity)],
        kinds=[kind.value for kind in Kind],
        categories=CATEGORIES,
        alert=alert,
        offered=form is not None,
        found=named.values_in(*words) if form is not None else [],
        unticked=unticked,
        sounds=named.category_of(*words) if form is not None else None,
    )
    return show(request, page, status=422 if problems else 200)


def _alert(actor: Actor, given: str | None) -> Alert | None:
    if not given:
        return None
    try:
        alert_id = UUID(given)
    except ValueError:
        return None
    with reading() as session:
        return session.scalar(select(Alert).where(Alert.id == alert_id, alerts_visible_to(actor)))


def _entered(form: Fields) -> dict[str, str]:
    names = ("title", "description", "severity", "kind", "category", "observables")
    return {name: form.get(name) for name in names}


@router.post("/incidents/new/values")
def values(request: Request, form: Form, actor: Actor = allowed("incident.open")) -> Response:
    """The form as it was sent, with what its words name; nothing is stored. The words stay out of addresses and logs."""
    return _form(request, _entered(form), [], _alert(actor, form.get("alert")), form)


@router.post("/incidents/new")
def create(request: Request, form: Form, actor: Actor = allowed("incident.open")) -> Response:
    """Open an incident by hand and go to it."""
    entered = _entered(form)
    try:
        files = uploads.sent(form, "files")
        draft = IncidentDraft(
            title=entered["title"],
            description=entered["description"] or None,
            severity=Severity(entered["severity"])
            if entered["severity"] in set(Severity)
            else Severity.unknown,
            kind=entered["kind"] or Kind.incident,
            category=_category(entered),
            exercise=form.flag("exercise"),
            observables=_values(form, entered),
        )
        with unit_of_work() as uow:
            incident = lifecycle.open_by_hand(uow, actor, draft)
            for file in files:
                attachments.add(uow, actor, incident.id, file)
            if form.flag("mine"):
                lifecycle.assign(uow, actor, incident.id, actor.user_id)
            key = incident.key
    except TocsinError as error:
        problems = getattr(error, "problems", None) or [Problem("", error.message)]
        return _form(request, entered, problems, _alert(actor, form.get("alert")), form)
    return then(f"/incidents/{key}", _("%(key)s is open.") % {"key": key})


def _category(entered: dict[str, str]) -> str | None:
    """As chosen; when nobody chose, as the words sound."""
    chosen = entered["category"]
    return named.category_of(entered["title"], entered["description"]) if chosen == "auto" else chosen or None


def _values(form: Fields, entered: dict[str, str]) -> list[tuple[str, str]]:
    """The values that stayed ticked (all that the words name, where nothing was shown), and those typed in. Raises Invalid."""
    found = [(one.type, one.value) for one in named.values_in(entered["title"], entered["description"])]
    if form.flag("offered"):
        shown, ticked = set(form.many("shown")), set(form.many("value"))
        found = [one for one in found if ":".join(one) in ticked or ":".join(one) not in shown]
    for word in entered["observables"].replace(",", " ").split():
        one = named.value_of(word)
        if one is None:
            message = _("“%(word)s” is no address, host, user or hash.") % {"word": word[:80]}
            raise Invalid(message, [Problem("observables", message)])
        found.append((one.type, one.value))
    return list(dict.fromkeys(found))
