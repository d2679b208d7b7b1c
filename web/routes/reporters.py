"""What responders do with those who reported something: answer them, ask them, end their link."""

from uuid import UUID

from fastapi import APIRouter, Response

from core.actors import Actor
from core.db import unit_of_work
from incidents import queries, reporting
from web.languages import gettext as _
from web.pages import then
from web.security import Form, allowed

router = APIRouter(include_in_schema=False)


@router.post("/incidents/{key}/reporters/{reporter_id}/answer")
def answer(form: Form, key: str, reporter_id: UUID, actor: Actor = allowed("incident.answer")) -> Response:
    """Write to a reporter."""
    with unit_of_work() as uow:
        incident = queries.incident(uow, actor, key)
        said = reporting.answer(
            uow, actor, incident.id, reporter_id, form.get("text"), asks=form.flag("asks")
        )
        by_mail = said.via == "mail"
    told = (
        _("It goes to them by mail, and stands on their page.") if by_mail else _("It stands on their page.")
    )
    return then(f"/incidents/{key}", told)


@router.post("/incidents/{key}/reporters/{reporter_id}/link")
def end_link(form: Form, key: str, reporter_id: UUID, actor: Actor = allowed("incident.answer")) -> Response:
    """End the link to a reporter's page; with `renew` they get a new one."""
    renew = form.flag("renew")
    with unit_of_work() as uow:
        incident = queries.incident(uow, actor, key)
        reporter = reporting.end_link(uow, actor, incident.id, reporter_id, renew=renew)
        if renew:
            reporting.thank(uow, reporter)
    return then(f"/incidents/{key}", _("The old link is of no more use."))
