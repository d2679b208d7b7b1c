"""What people outside are told about one incident, and what its values are judged to be."""

from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy.orm import Session

from core import clock
from core.actors import Actor
from core.db import reading, unit_of_work
from core.errors import Invalid, Problem
from incidents import disclosing, observables, verdicts
from incidents import queries as record
from incidents.disclosing import DisclosureDraft
from incidents.models import Disclosure, Incident
from incidents.observables import Listed
from incidents.stages import Tlp
from web.languages import gettext as _
from web.pages import Page, show, then
from web.security import Fields, Form, allowed

router = APIRouter(include_in_schema=False)

MOST_OFFERED = 200
_TIMES = ("due_at", "sent_at", "receipt_at")
_TEXTS = ("to_whom", "what", "kind", "tlp", "because", "reference", "applies", "observable")


@dataclass(kw_only=True)
class OutsidePage(Page, template="outside.html", rail="incidents"):
    """Who outside is told what, by when, and what came back."""

    incident: Incident
    notices: list[tuple[Disclosure, str]]
    observables: list[Listed]
    changes: Disclosure | None
    entered: dict[str, str]
    problems: list[Problem]
    tlps: list[str]


@router.get("/incidents/{key}/outside")
def everything(
    request: Request, key: str, change: str = "", actor: Actor = allowed("incident.read")
) -> Response:
    """What people outside are told; `?change=` opens one of them in the form."""
    return _page(request, actor, key, change, {}, [])


def _page(
    request: Request, actor: Actor, key: str, change: str, entered: dict[str, str], problems: list[Problem]
) -> Response:
    now = clock.now()
    with reading() as session:
        incident = record.incident(session, actor, key)
        rows = disclosing.of_incident(session, actor, incident.id)
        changes = next((row for row in rows if str(row.id) == change), None)
        page = OutsidePage(
            incident=incident, notices=[(row, disclosing.state(row, now)) for row in rows],
            observables=observables.of_incident(session, actor, incident.id, limit=MOST_OFFERED),
            changes=changes, entered=entered or (_said(changes) if changes else {}), problems=problems, tlps=list(Tlp),
        )  # fmt: skip
    return show(request, page, status=422 if problems else 200)


def _said(row: Disclosure) -> dict[str, str]:
    times = {name: getattr(row, name) for name in _TIMES}
    return {
        "to_whom": row.to_whom, "what": row.what, "kind": row.kind, "tlp": row.tlp, "because": row.because,
        "reference": row.reference, "applies": "yes" if row.applies else "no", "observable": str(row.observable_id or ""),
        **{name: at.strftime("%Y-%m-%d %H:%M") if at else "" for name, at in times.items()},
    }  # fmt: skip


def _draft(form: Fields) -> DisclosureDraft:
    value = form.get("observable")
    return DisclosureDraft(
        to_whom=form.get("to_whom"), what=form.get("what"), kind=form.get("kind") or "notice", tlp=form.get("tlp"),
        applies=form.get("applies") != "no", because=form.get("because"), reference=form.get("reference"),
        observable_id=UUID(value) if value else None, due_at=form.instant("due_at"), sent_at=form.instant("sent_at"),
        receipt_at=form.instant("receipt_at"),
    )  # fmt: skip


@router.post("/incidents/{key}/outside")
def note(request: Request, form: Form, key: str, actor: Actor = allowed("incident.edit")) -> Response:
    """Note what somebody outside is told, or change what is noted."""
    given, version = form.get("change"), form.get("version")
    try:
        draft = _draft(form)
        with unit_of_work() as uow:
            incident = record.incident(uow, actor, key)
            if given:
                disclosing.change(
                    uow, actor, UUID(given), draft, version=int(version) if version.isdecimal() else None
                )
            else:
                disclosing.add(uow, actor, incident.id, draft)
    except Invalid as error:
        entered = {name: form.get(name) for name in (*_TEXTS, *_TIMES)}
        return _page(request, actor, key, given, entered, error.problems or [Problem("", error.message)])
    return then(f"/incidents/{key}/outside", _("Written down; the report tells it."))


@router.post("/disclosures/{disclosure_id}/withdraw")
def withdraw(form: Form, disclosure_id: UUID, actor: Actor = allowed("incident.edit")) -> Response:
    """Take a note back that was wrong."""
    with unit_of_work() as uow:
        row = disclosing.withdraw(uow, actor, disclosure_id, form.get("reason"))
        incident = record.incident(uow, actor, row.incident_id)
    return then(f"/incidents/{incident.key}/outside", _("Taken back; the journal keeps it."))


@router.post("/incidents/{key}/verdict")
def judge(form: Form, key: str, actor: Actor = allowed("incident.edit")) -> Response:
    """Say what a value is."""
    call = form.get("call")
    with unit_of_work() as uow:
        incident = record.incident(uow, actor, key)
        value = _value(uow, actor, incident, form)
        verdicts.judge(
            uow, actor, incident.id, value, form.get("verdict"), because=form.get("because"),
            call_id=UUID(call) if call else None,
        )  # fmt: skip
    return then(f"/incidents/{incident.key}#of-{value}", _("Written down; the report tells it."))


def _value(session: Session, actor: Actor, incident: Incident, form: Fields) -> UUID:
    """The value that the form means: chosen from the list, by its id."""
    given = form.need("observable", _("Say of which value."))
    found = next(
        (one.id for one in observables.of_incident(session, actor, incident.id) if str(one.id) == given), None
    )
    if found is None:
        raise Invalid(
            _("This incident has no such observable."),
            [Problem("observable", _("Choose one of its values."))],
        )
    return found
