"""One action on one value of an incident by hand: first what exactly would be done, then doing it."""

from dataclasses import dataclass
from datetime import timedelta

from fastapi import APIRouter, Request, Response
from sqlalchemy.orm import Session

from connectors.contract import Field
from connectors.models import HELD, REFUSED, ActionCall
from core.actors import Actor
from core.db import reading, unit_of_work
from core.errors import Conflict, Invalid, NotFound, Problem
from core.ids import new_id
from incidents import observables, queries
from incidents.models import Incident, Task
from incidents.observables import Listed
from incidents.visibility import as_id
from playbooks import by_hand
from playbooks.asking import DISRUPTIVE
from playbooks.by_hand import Look, Wanted
from playbooks.catalogue import Catalogue
from web import connector_forms, stepping_up
from web.forms import Asked
from web.languages import gettext as _
from web.markdown import to_page
from web.pages import Page, show, then
from web.security import Form, allowed

router = APIRouter(include_in_schema=False)

WORD = "APPROVE"
HOURS = (1, 4, 24, 72, 168, 720)


@dataclass(kw_only=True)
class ByHandPage(Page, template="by_hand.html", rail="incidents"):
    """What would be done, to what, and what the guard rails say."""

    incident: Incident
    of: Listed
    name: str
    title: str
    effect: str
    look: Look | None
    told: str
    fields: list[Asked]
    given: dict[str, str]
    hours: tuple[int, ...]
    factor: str
    key: str
    problems: list[Problem]


@router.get("/incidents/{key}/act")
def prepare(
    request: Request, key: str, do: str = "", of: str = "", actor: Actor = allowed("action.run")
) -> Response:
    """What would be done; nothing is."""
    given = {
        name.removeprefix("input."): value
        for name, value in request.query_params.items()
        if name.startswith("input.")
    }
    return _page(request, actor, key, do, of, given)


@router.post("/incidents/{key}/act")
def act(request: Request, form: Form, key: str, actor: Actor = allowed("action.run")) -> Response:
    """Do it, once however often the form is sent."""
    given = form.starting("input.")
    try:
        with unit_of_work() as uow:
            incident = queries.incident(uow, actor, key)
            wanted = _wanted(uow, actor, incident, form.get("do"), form.get("of"), given, form)
            effect = _effect(wanted.name)
            if effect in DISRUPTIVE and form.get("bound") and form.get("word").upper() != WORD:
                message = _("This disrupts: to do it, type %(word)s.") % {"word": WORD}
                raise Invalid(message, [Problem("word", message)])
            made = by_hand.ask(uow, actor, incident.id, wanted)
            uow.flush()
            where, said = _told(made, form.get("of"))
    except Invalid as error:
        return _page(request, actor, key, form.get("do"), form.get("of"), given, error, form.get("key"))
    except Conflict as error:
        return _page(request, actor, key, form.get("do"), form.get("of"), given, error)
    return then(f"/incidents/{key}#{where}", said)


def _told(made: ActionCall | Task, of: str) -> tuple[str, str]:
    """Where on the incident's page it stands, and the sentence that is said once."""
    if isinstance(made, Task):
        return f"task-{made.id}", _("No product here can do it: it is a task now.")
    if made.state == REFUSED:
        return f"of-{of}", _("A guard rail refused it: %(why)s") % {"why": made.note or ""}
    if made.state == HELD:
        return f"of-{of}", _("It is held back: %(why)s") % {"why": made.note or ""}
    return f"of-{of}", _("Asked for. What comes of it stands beside the value.")


def _effect(name: str) -> str:
    info = Catalogue()(name)
    return info.effect if info is not None else ""


def _wanted(
    session: Session, actor: Actor, incident: Incident, do: str, of: str, given: dict[str, str], form: Form | None = None
) -> Wanted:
    """What the form (or the address) asks for. Raises NotFound, Invalid."""
    seen = _value(session, actor, incident, of)
    more = connector_forms.answers(_inputs(do), given)
    if form is None:
        return Wanted(do, seen.type, seen.value, more=more)
    return Wanted(
        do, seen.type, seen.value, form.get("key"), more, reason=form.get("reason"),
        lasts=_hours(form.get("lasts")), review=_hours(form.get("review")), bound=bool(form.get("bound")),
    )  # fmt: skip


def _hours(text: str) -> timedelta | None:
    if not text:
        return None
    if not text.isdecimal() or int(text) not in HOURS:
        raise Invalid(_("Choose one of the times offered."), [Problem("lasts", text[:20])])
    return timedelta(hours=int(text))


def _value(session: Session, actor: Actor, incident: Incident, of: str) -> Listed:
    """The value of the incident with this id. Raises NotFound."""
    wanted = as_id(of)
    for one in observables.of_incident(session, actor, incident.id, only=wanted) if wanted else ():
        return one
    raise NotFound(_("The incident has no such value."))


def _inputs(name: str) -> list[Field]:
    """What an action or the products of a verb are told besides the value; each name once."""
    found: dict[str, Field] = {}
    for action in by_hand.behind(name):
        found |= {item.name: item for item in action.inputs if item.name not in found}
    return list(found.values())


def _page(
    request: Request,
    actor: Actor,
    key: str,
    do: str,
    of: str,
    given: dict[str, str],
    error: Invalid | Conflict | None = None,
    sent: str = "",
) -> Response:
    with reading() as session:
        incident = queries.incident(session, actor, key)
        seen = _value(session, actor, incident, of)
        offer = by_hand.offered(session, do, seen.type)
        look, problems = None, _problems(error)
        try:
            look = by_hand.look(session, actor, incident, _wanted(session, actor, incident, do, of, given))
        except Invalid as wrong:
            if given and error is None:
                problems = [Problem("", wrong.message)]
        fields = [item for item in _inputs(do) if item.name != offer.input] if offer.bound else []
        page = ByHandPage(
            incident=incident,
            of=seen,
            name=offer.name,
            title=offer.title,
            effect=offer.effect,
            look=look,
            told=to_page(look.told) if look else "",
            fields=connector_forms.asked(fields, given),
            given=given,
            hours=HOURS,
            factor=stepping_up.asked_for(session, actor, offer.effect) if offer.bound else "",
            key=sent or str(new_id()),
            problems=problems,
        )
    return show(request, page, status=error.status if error else 200)


def _problems(error: Invalid | Conflict | None) -> list[Problem]:
    """What is said at the top of the page."""
    if error is None:
        return []
    return (list(error.problems) if isinstance(error, Invalid) else []) or [Problem("", error.message)]
