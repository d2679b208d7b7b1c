"""Taking a value out of the record of an incident: what it reaches and what not, the proposal, and what was taken out before."""

from dataclasses import dataclass

from fastapi import APIRouter, Request, Response

from core import journal
from core.actors import Actor
from core.db import reading, unit_of_work
from core.errors import Invalid, Problem
from core.four_eyes import Change, waiting
from core.journal import Entry
from incidents import facts, redacting
from incidents import queries as record
from incidents.models import Incident
from web import four_eyes
from web.languages import gettext as _
from web.pages import Page, show, then
from web.security import Form, allowed

router = APIRouter(include_in_schema=False)


@dataclass(kw_only=True)
class RedactPage(Page, template="redact.html", rail="incidents"):
    """The form; the value is never shown again, also not when something is missing."""

    incident: Incident
    reason: str
    problems: list[Problem]
    not_reached: list[str]
    waiting: list[Change]
    done: list[Entry]


@router.get("/incidents/{key}/redact")
def form_of(request: Request, key: str, actor: Actor = allowed("incident.redact")) -> Response:
    """What would be done."""
    return _shown(request, actor, key, "", [])


def _shown(request: Request, actor: Actor, key: str, reason: str, problems: list[Problem]) -> Response:
    with reading() as session:
        incident = record.incident(session, actor, key)
        mine = [
            one
            for one in waiting(session, redacting.REDACTION.name)
            if one.payload.get("incident") == str(incident.id)
        ]
        done = journal.entries(session, ref=incident.ref, verbs=[facts.INCIDENT_REDACTED.name], limit=20)
        page = RedactPage(
            incident=incident, reason=reason, problems=problems, waiting=mine, done=done,
            not_reached=[_(one) for one in redacting.NOT_REACHED],
        )  # fmt: skip
    return show(request, page, status=422 if problems else 200)


@router.post("/incidents/{key}/redact")
def redact(request: Request, form: Form, key: str, actor: Actor = allowed("incident.redact")) -> Response:
    """Propose it; done once somebody else agrees."""
    try:
        with unit_of_work() as uow:
            change = redacting.propose(uow, actor, key, form.get("value"), form.get("reason"))
    except Invalid as error:
        return _shown(request, actor, key, form.get("reason"), error.problems)
    told = four_eyes.said(change, _("It was taken out of the record."))
    return then(f"/incidents/{key}/redact", told)
