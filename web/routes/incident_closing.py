"""Closing an incident and opening it again."""

from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter, Request, Response

from core.actors import Actor
from core.db import reading, unit_of_work
from core.errors import Invalid, Problem
from core.types import Severity
from incidents import closing, follow_ups, queries
from incidents.closing import Closing
from incidents.follow_ups import Earlier
from incidents.models import Incident
from incidents.stages import MEANING, Confirmation
from web.languages import gettext as _
from web.pages import Page, show, then
from web.security import Form, allowed

router = APIRouter(include_in_schema=False)


@dataclass(kw_only=True)
class ClosePage(Page, template="incident_close.html", rail="incidents"):
    """What is asked when an incident is closed."""

    incident: Incident
    dispositions: list[tuple[str, str]]
    entered: dict[str, str]
    problems: list[Problem]
    demanding: bool
    earlier: list[Earlier]
    follow_ups: int


def _id(actor: Actor, key: str) -> UUID:
    with reading() as session:
        return queries.incident(session, actor, key).id


@router.get("/incidents/{key}/close")
def closing_form(request: Request, key: str, actor: Actor = allowed("incident.close")) -> Response:
    """What is asked when it is closed."""
    return _closing(request, actor, key, {"disposition": request.query_params.get("disposition", "")}, [])


def _closing(
    request: Request, actor: Actor, key: str, entered: dict[str, str], problems: list[Problem]
) -> Response:
    with reading() as session:
        incident = queries.incident(session, actor, key)
        earlier = follow_ups.earlier(session, actor, incident)
        number = len(follow_ups.of_incident(session, actor, incident.id))
    serious = Severity(incident.severity).rank >= Severity.high.rank
    page = ClosePage(
        incident=incident,
        dispositions=[(disposition.value, says) for disposition, says in MEANING.items()],
        entered=entered,
        problems=problems,
        demanding=serious and incident.confirmation == Confirmation.declared,
        earlier=earlier,
        follow_ups=number,
    )
    return show(request, page, status=422 if problems else 200)


@router.post("/incidents/{key}/close")
def close(request: Request, form: Form, key: str, actor: Actor = allowed("incident.close")) -> Response:
    """Close it."""
    entered = {name: form.get(name) for name in ("disposition", "summary", "root_cause")}
    said = Closing(entered["disposition"], entered["summary"] or None, entered["root_cause"] or None)
    try:
        with unit_of_work() as uow:
            closing.close(uow, actor, _id(actor, key), said)
    except Invalid as error:
        return _closing(request, actor, key, entered, error.problems or [Problem("", error.message)])
    return then(f"/incidents/{key}", _("%(key)s is closed.") % {"key": key})


@router.post("/incidents/{key}/reopen")
def reopen(form: Form, key: str, actor: Actor = allowed("incident.close")) -> Response:
    """Open it again."""
    with unit_of_work() as uow:
        closing.reopen(uow, actor, _id(actor, key), reason=form.get("reason"))
    return then(f"/incidents/{key}", _("%(key)s is open again.") % {"key": key})
