"""Saving a list's filters under a name, and forgetting them."""

from uuid import UUID

from fastapi import APIRouter, Response

from core.actors import Actor
from core.db import unit_of_work
from incidents import views
from web.languages import gettext as _
from web.pages import then
from web.security import Form, allowed

router = APIRouter(include_in_schema=False)


@router.post("/views")
def save(form: Form, actor: Actor = allowed("incident.read")) -> Response:
    """Keep the filters."""
    with unit_of_work() as uow:
        row = views.save(
            uow, actor, list_name=form.get("list"), name=form.get("name"), query=form.get("query"),
            shared=form.flag("shared"),
        )  # fmt: skip
        href, name = row.href, row.name
    return then(href, _("Saved as “%(name)s”.") % {"name": name})


@router.post("/views/{view_id}/remove")
def remove(view_id: UUID, actor: Actor = allowed("incident.read")) -> Response:
    """Forget a view."""
    with unit_of_work() as uow:
        row = views.remove(uow, actor, view_id)
        href, name = row.href, row.name
    return then(href, _("“%(name)s” is forgotten.") % {"name": name})
