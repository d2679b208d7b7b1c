"""Mail that came in: by which ways, what became of each, and why; what is stuck is tried again from here."""

from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy import ColumnElement, func, or_, select, true

from core import chosen, parked
from core.actors import Actor
from core.db import reading, unit_of_work
from core.errors import Invalid, NotFound
from incidents.models import Incident
from incidents.visibility import belongs_to_visible, visible_to
from ingest import mail_door, mail_poll
from ingest.mail_models import ADDED, IGNORED, JOINED, OPENED, Mailbox, MailIn
from web import keyset
from web.languages import gettext as _
from web.languages import ngettext
from web.pages import Page, show, then
from web.security import Form, allowed

router = APIRouter(include_in_schema=False)

HERE = "/settings/mail"
MOST_COUNTED = 1000


@dataclass(kw_only=True)
class MailPage(Page, template="mail.html", rail="settings"):
    """A page of the mails that came in."""

    listens: str | None
    mailbox: Mailbox | None
    sends: bool
    mails: list[MailIn]
    only: str
    stuck: int
    may_manage: bool
    may_set: bool
    words: dict[str, str]
    keys: dict[UUID, str]
    next: str | None
    first: str | None


@router.get("/settings/mail")
def overview(request: Request, actor: Actor = allowed("delivery.read")) -> Response:
    """Mails, newest first, but for those of incidents that the reader may not see."""
    given = request.query_params
    after, only = given.get("after"), given.get("only", "")
    visible = belongs_to_visible(actor, MailIn.incident_id)
    query = select(MailIn).where(visible, _only(only))
    if after:
        query = query.where(MailIn.id < _place(after))
    query = query.order_by(MailIn.id.desc()).limit(keyset.SIZE + 1)
    with reading() as session:
        found = list(session.scalars(query))
        ids = [one.incident_id for one in found if one.incident_id is not None]
        named = select(Incident.id, Incident.key).where(Incident.id.in_(ids), visible_to(actor))
        keys = {row[0]: row[1] for row in session.execute(named)}
        parked_ones = select(MailIn.id).where(visible, MailIn.parked_at.is_not(None)).limit(MOST_COUNTED)
        stuck = session.scalar(select(func.count()).select_from(parked_ones.subquery())) or 0
        in_use = or_(Mailbox.due_at.is_not(None), Mailbox.parked_at.is_not(None))
        mailbox = session.scalar(select(Mailbox).where(in_use).limit(1))
        standing = chosen.effective(session)
    shown, more = found[: keyset.SIZE], len(found) > keyset.SIZE
    last = shown[-1] if shown else None
    return show(
        request,
        MailPage(
            listens=standing.mail_listen,
            mailbox=mailbox,
            sends=standing.smtp_url is not None,
            mails=shown,
            only=only,
            stuck=stuck,
            may_manage=actor.may("work.manage"),
            may_set=actor.may("settings.manage"),
            words=state_words(),
            keys=keys,
            next=keyset.address(HERE, given, after=str(last.id)) if more and last else None,
            first=keyset.address(HERE, given) if after else None,
        ),
    )


@router.post("/settings/mail/replay")
def replay(form: Form, actor: Actor = allowed("work.manage")) -> Response:
    """Try mails that are stuck again, or the mailbox."""
    wanted = list(dict.fromkeys(_place(text) for text in form.many("row")))[:500]
    with unit_of_work() as uow:
        if form.flag("mailbox"):
            box = uow.scalar(select(Mailbox.id).where(Mailbox.parked_at.is_not(None)).limit(1))
            if box is None:
                raise NotFound(_("The mailbox is not stuck."))
            parked.replay(uow, actor, mail_poll.KIND.name, box)
        for row in wanted:
            seen = select(MailIn.id).where(MailIn.id == row, belongs_to_visible(actor, MailIn.incident_id))
            if uow.scalar(seen) is None:
                raise NotFound(_("There is no such mail, or you may not see it."))
            parked.replay(uow, actor, mail_door.WORK, row)
    if form.flag("mailbox"):
        return then(HERE, _("The mailbox is looked into again."))
    said = ngettext("%(num)s mail is tried again.", "%(num)s mails are tried again.", len(wanted)) % {
        "num": len(wanted)
    }
    return then(HERE, said if wanted else _("Nothing was ticked."))


def _only(wanted: str) -> ColumnElement[bool]:
    """The condition of a filter; an unknown one narrows nothing."""
    match wanted:
        case "stuck":
            return MailIn.parked_at.is_not(None)
        case "alone":
            return MailIn.state == IGNORED
        case "taken":
            return MailIn.state.in_((OPENED, JOINED, ADDED))
        case _:
            return true()


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
