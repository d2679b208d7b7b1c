"""The inbox: what Tocsin told one person inside its own pages."""

from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import APIRouter, Request, Response

from core.actors import Actor
from core.db import reading, unit_of_work
from core.errors import Invalid
from core.settings import settings
from incidents.visibility import as_id
from notify import inbox
from notify.models import InboxItem
from web.languages import gettext as _
from web.pages import Page, show, then
from web.security import Form, allowed

router = APIRouter(include_in_schema=False)

MANY = 50


@dataclass(kw_only=True)
class InboxPage(Page, template="inbox.html"):
    """What was told to the reader, newest first; `paths` are where items lead, "" for those that lead elsewhere."""

    items: list[InboxItem]
    paths: dict[UUID, str]
    unread: int
    me: str
    next: str | None
    first: str | None


@router.get("/inbox")
def everything(request: Request, actor: Actor = allowed("contact.manage_own")) -> Response:
    """One's own items."""
    after = request.query_params.get("after")
    try:
        before = UUID(after) if after else None
    except ValueError as error:
        raise Invalid(_("This page's address is not complete; go to the first page.")) from error
    with reading() as session:
        items = inbox.items(session, actor.user_id, before=before, limit=MANY) if actor.user_id else []
        unread = inbox.unread(session, actor.user_id) if actor.user_id else 0
    page = InboxPage(
        items=items,
        paths={item.id: ours(item.link) for item in items},
        unread=unread,
        me=actor.id,
        next=f"/inbox?after={items[-1].id}" if len(items) == MANY else None,
        first="/inbox" if after else None,
    )
    return show(request, page)


def ours(link: str) -> str:
    """The path of a link that leads into our own pages; "" for any other."""
    parts, base = urlsplit(link), urlsplit(settings().base_url)
    inside = (parts.scheme, parts.netloc) in ((base.scheme, base.netloc), ("", ""))
    return (
        parts.path + (f"?{parts.query}" if parts.query else "")
        if inside and parts.path.startswith("/")
        else ""
    )


@router.post("/inbox/read")
def read(form: Form, actor: Actor = allowed("contact.manage_own")) -> Response:
    """Mark the named items as read, or all."""
    ids = [found for item in form.many("item") if (found := as_id(item))]
    with unit_of_work() as uow:
        inbox.mark_read(uow, actor, ids or None)
    return then("/inbox")
