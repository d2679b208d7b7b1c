"""Mail that came in: by which ways, what became of each, and why."""

from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy import or_, select

from core.actors import Actor
from core.db import reading
from core.errors import Invalid
from core.settings import settings
from incidents.models import Incident
from incidents.visibility import belongs_to_visible, visible_to
from ingest.mail_models import Mailbox, MailIn
from web import keyset
from web.languages import gettext as _
from web.pages import Page, show
from web.security import allowed

router = APIRouter(include_in_schema=False)


@dataclass(kw_only=True)
class MailPage(Page, template="mail.html", rail="settings"):
    """A page of the mails that came in."""

    listens: str | None
    mailbox: Mailbox | None
    sends: bool
    mails: list[MailIn]
    words: dict[str, str]
    keys: dict[UUID, str]
    next: str | None
    first: str | None


@router.get("/settings/mail")
def overview(request: Request, actor: Actor = allowed("delivery.read")) -> Response:
    """Mails, newest first, but for those of incidents that the reader may not see."""
    given = request.query_params
    after = given.get("after")
    query = select(MailIn).where(belongs_to_visible(actor, MailIn.incident_id))
    if after:
        query = query.where(MailIn.id < _place(after))
    query = query.order_by(MailIn.id.desc()).limit(keyset.SIZE + 1)
    with reading() as session:
        found = list(session.scalars(query))
        ids = [one.incident_id for one in found if one.incident_id is not None]
        named = select(Incident.id, Incident.key).where(Incident.id.in_(ids), visible_to(actor))
        keys = {row[0]: row[1] for row in session.execute(named)}
        in_use = or_(Mailbox.due_at.is_not(None), Mailbox.parked_at.is_not(None))
        mailbox = session.scalar(select(Mailbox).where(in_use).limit(1))
    shown, more = found[: keyset.SIZE], len(found) > keyset.SIZE
    last = shown[-1] if shown else None
    return show(
        request,
        MailPage(
            listens=settings().mail_listen,
            mailbox=mailbox,
            sends=settings().smtp_url is not None,
            mails=shown,
            words=state_words(),
            keys=keys,
            next=keyset.address("/settings/mail", given, after=str(last.id)) if more and last else None,
            first=keyset.address("/settings/mail", given) if after else None,
        ),
    )


def _place(cursor: str) -> UUID:
    try:
        return UUID(cursor)
    except ValueError as error:
        raise Invalid(_("This page's address is not complete; go to the first page.")) from error


def state_words() -> dict[str, str]:
    """What became of a mail, in words."""
    return {
        "received": _("waits to be read"),
        "opened": _("opened an incident"),
        "joined": _("joined an incident"),
        "added": _("added to its conversation"),
        "ignored": _("left alone"),
    }
