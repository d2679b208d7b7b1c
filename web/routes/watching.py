"""Watching an incident: one is told in the inbox what others do to it."""

from fastapi import APIRouter, Response

from core.actors import Actor
from core.db import unit_of_work
from incidents import following, queries
from web.languages import gettext as _
from web.pages import then
from web.security import Form, allowed

router = APIRouter(include_in_schema=False)


@router.post("/incidents/{key}/watch")
def watch(form: Form, key: str, actor: Actor = allowed("incident.read")) -> Response:
    """Be told from now on, or no longer."""
    on = form.get("on") == "yes"
    with unit_of_work() as uow:
        incident = queries.incident(uow, actor, key)
        following.watch(uow, actor, incident.id, on=on)
        path = f"/incidents/{incident.key}"
    said = _("You are told in your inbox what others do to it.") if on else _("You are not told any more.")
    return then(path, said)
