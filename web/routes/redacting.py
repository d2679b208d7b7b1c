"""Taking a value out of the record of an incident: what it reaches and what not, the proposal, and what was taken out before."""

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response

from core import journal, secrets
from core.actors import Actor
from core.db import reading, unit_of_work
from core.errors import Invalid, Problem
from core.four_eyes import Change, waiting
from core.journal import Entry
from incidents import facts, redacting, taking_out
from incidents import queries as record
from incidents.looking_into import Looked
from incidents.models import Incident, Redaction
from web import four_eyes
from web.languages import gettext as _
from web.pages import Page, show, then
from web.security import Fields, Form, allowed

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
    going: Sequence[Redaction]
    steps: list[str]
    files: list[Looked]
    sealed: str


@router.get("/incidents/{key}/redact")
def form_of(request: Request, key: str, actor: Actor = allowed("incident.redact")) -> Response:
    """What would be done."""
    return _shown(request, actor, key, "", [])


def _shown(
    request: Request, actor: Actor, key: str, reason: str, problems: list[Problem], files: list[Looked] | None = None,
    sealed: str = "",
) -> Response:  # fmt: skip
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
            not_reached=[_(one) for one in redacting.NOT_REACHED], going=redacting.going_on(session, incident.id),
            steps=taking_out.steps(), files=files or [], sealed=sealed,
        )  # fmt: skip
    return show(request, page, status=422 if problems else 200)


@router.post("/incidents/{key}/redact")
def redact(request: Request, form: Form, key: str, actor: Actor = allowed("incident.redact")) -> Response:
    """Propose it, done once somebody else agrees; where files hold it, they are shown first, and it is asked what becomes of them."""
    reason, given = form.get("reason"), form.get("sealed")
    files: list[Looked] = []
    sealed = ""
    try:
        value = _again(actor, key, given) if given else form.get("value")
        files = redacting.files_with(actor, key, value)
        if files:
            sealed = secrets.seal(value, _purpose(actor, key))
        if files and not given and reason.strip():
            return _shown(request, actor, key, reason, [], files, sealed)
        keep = {one.digest: form.get(f"why-{one.digest}") for one in files if _of(form, one) == "keep" and one.found != "unread"}
        also = [one.digest for one in files if _of(form, one) == "take" and one.found == "unread"]
        with unit_of_work() as uow:
            change = redacting.propose(uow, actor, key, value, reason, keep, also)
    except Invalid as error:
        return _shown(request, actor, key, reason, error.problems, files if sealed and given else None, sealed if given else "")
    told = four_eyes.said(change, _("It is being taken out of the record."))
    return then(f"/incidents/{key}/redact", told)


def _again(actor: Actor, key: str, sealed: str) -> str:
    """The value that was given on the page before. Raises Invalid when this is not what that page held."""
    try:
        return secrets.unseal(sealed, _purpose(actor, key))
    except secrets.Unsealable as error:
        message = _("This form was altered or belongs to somebody else: give the value again.")
        raise Invalid(message, [Problem("value", message)]) from error


def _purpose(actor: Actor, key: str) -> str:
    """What the value is sealed for between the two pages: this person, this incident."""
    return f"incident.redaction.page:{actor.id}:{key}"


def _of(form: Fields, file: Looked) -> str:
    return form.get(f"do-{file.digest}")
