"""Who leads an incident and has its other parts; stopping its automation, calling the lead, letting it go on."""

from fastapi import APIRouter, Response
from sqlalchemy.orm import Session

from core.actors import Actor
from core.db import unit_of_work
from core.errors import Invalid, Problem
from incidents import parts, queries, stopping
from incidents.models import Incident
from incidents.visibility import as_id
from playbooks.models import PlaybookRun
from web.languages import gettext as _
from web.pages import then
from web.security import Form, allowed

router = APIRouter(include_in_schema=False)


@router.post("/incidents/{key}/part")
def give(form: Form, key: str, actor: Actor = allowed("incident.edit")) -> Response:
    """Give a part to somebody, hand it over, or clear it."""
    person = form.get("person")
    to = as_id(person)
    if person and to is None:
        raise Invalid(_("Choose a person."), [Problem("person", person[:40])])
    with unit_of_work() as uow:
        found = queries.incident(uow, actor, key)
        parts.give(uow, actor, found.id, form.get("part"), to)
    return then(f"/incidents/{key}", _("Saved.") if to is None else _("Saved; they are told."))


@router.post("/incidents/{key}/stop")
def stop(form: Form, key: str, actor: Actor = allowed("automation.hold")) -> Response:
    """Nothing new begins for it, and its lead is paged."""
    with unit_of_work() as uow:
        found = queries.incident(uow, actor, key)
        done = stopping.stop(uow, actor, found.id, form.get("reason"))
        lead = found.owner_id is not None and found.owner_id != actor.user_id
        said = (
            _("Stopped, but nobody can be paged: there is no escalation policy. Call somebody.")
            if not done.reached
            else _("Stopped. The lead is paged.")
            if lead
            else _("Stopped. Whoever is on call is paged.")
        )
        back = _back(uow, found, form.get("run"))
    return then(back, said)


@router.post("/incidents/{key}/let-go")
def let_go(form: Form, key: str, actor: Actor = allowed("automation.let_go")) -> Response:
    """Its automation goes on."""
    with unit_of_work() as uow:
        found = queries.incident(uow, actor, key)
        stopping.let_go(uow, actor, found.id, form.get("reason"))
        back = _back(uow, found, form.get("run"))
    return then(back, _("It goes on."))


def _back(session: Session, incident: Incident, run: str) -> str:
    """The page it was asked from: a run of the incident, or the incident itself."""
    row = session.get(PlaybookRun, as_id(run)) if as_id(run) else None
    ours = row is not None and row.subject_id == str(incident.id)
    return f"/runs/{run}" if ours else f"/incidents/{incident.key}"
