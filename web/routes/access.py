"""Who read what: the access log, newest first, without what the reader may not know of."""

from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter, Request, Response

from core import access
from core.access import Access
from core.actors import Actor
from core.db import reading
from core.errors import Invalid
from core.settings import settings
from incidents.visibility import belongs_to_visible
from web.keyset import SIZE, address
from web.languages import gettext as _
from web.pages import Page, show
from web.security import allowed

router = APIRouter(include_in_schema=False)


@dataclass(kw_only=True)
class AccessPage(Page, template="access.html", rail="journal"):
    """A page of the access log."""

    readings: list[Access]
    person: str
    thing: str
    kept_days: int | None
    next: str | None
    first: str | None


@router.get("/journal/access")
def read(request: Request, actor: Actor = allowed("access.read")) -> Response:
    """Readings, newest first; `by` an actor's id, `thing` a file's."""
    given = request.query_params
    person, thing, before = given.get("by", ""), given.get("thing", ""), given.get("after")
    try:
        place = UUID(before) if before else None
    except ValueError as error:
        raise Invalid(_("This page's address is not complete; go to the first page.")) from error
    wanted = [belongs_to_visible(actor, Access.within)]
    wanted += [Access.actor_id == person] if person else []
    wanted += [Access.thing_id == thing] if thing else []
    with reading() as session:
        found = access.log(session, *wanted, before=place, limit=SIZE + 1)
    shown, keep = found[:SIZE], settings().keep_access
    return show(
        request,
        AccessPage(
            readings=shown,
            person=person,
            thing=thing,
            kept_days=keep.days if keep else None,
            next=address("/journal/access", given, after=str(shown[-1].id)) if len(found) > SIZE else None,
            first=address("/journal/access", given) if before else None,
        ),
    )
