"""Looks into a mailbox by IMAP, one process at a time, and takes what is new; a mail is marked only once it is stored."""

import hashlib
import io
from dataclasses import replace

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite

from core import blobs, chosen, logs, work
from core.db import UnitOfWork, is_postgres, reading, unit_of_work
from core.errors import Invalid, TooLarge
from core.ids import new_id
from core.net import Egress, NetError, current, imap
from core.settings import settings
from ingest import mail_door
from ingest.mail_models import Mailbox

log = logs.get(__name__)

MOST = 50
"""So many mails are taken in one visit; then the mailbox is looked into again at once."""


def seed(uow: UnitOfWork) -> None:
    """Have the mailbox that is set looked into, now and then, and no other. Raises Invalid when its URL cannot be read."""
    url = chosen.effective(uow).imap_url
    mine = _digest(url) if url else ""
    uow.execute(update(Mailbox).where(Mailbox.place != mine).values(due_at=None, parked_at=None))
    if not url:
        return
    insert = (postgresql.insert if is_postgres(uow) else sqlite.insert)(Mailbox)
    row = {
        "id": new_id(), "place": mine, "shown": imap.read_url(url).shown[:300], "due_at": uow.now, "fence": 0,
        "attempts": 0, "taken": 0,
    }  # fmt: skip
    again = insert.values(row).on_conflict_do_update(
        index_elements=["place"], set_={"due_at": uow.now, "parked_at": None, "attempts": 0, "error": None}
    )
    uow.execute(again)
    uow.wake(KIND.name)


def waiting(mailbox: imap.Mailbox) -> int:
    """How many mails wait there; none is touched. Raises NetError."""
    with imap.visit(mailbox, egress=_allowed(mailbox)) as box:
        return box.count()


def visit(mailbox: imap.Mailbox) -> tuple[int, bool]:
    """Take what is new; how many, and whether there may be more. Raises NetError."""
    most, taken = settings().max_upload, 0
    with imap.visit(mailbox, egress=_allowed(mailbox)) as box:
        waiting = box.waiting(MOST)
        for uid, size in waiting:
            raw = box.fetch(uid, 65536 if size > most else most + 1)
            envelope = mail_door.Envelope("imap", mailbox.host)
            if size > most:
                why = f"larger than {most // 1024:,} KiB (TOCSIN_MAX_UPLOAD): it is still in the mailbox"
                mail_door.refuse(blobs.measure(io.BytesIO(raw), 65536), envelope, why)
            else:
                try:
                    mail_door.take(blobs.measure(io.BytesIO(raw), most), envelope)
                except TooLarge:
                    log.warning("a mail is larger than its server said and is left alone", extra={"uid": uid})
                    continue
            taken += 1
            box.done(uid)
    return taken, len(waiting) == MOST


def _handle(claims: list[work.Claim]) -> None:
    for claim in claims:
        with reading() as session:
            given = chosen.effective(session)
            place = session.scalar(select(Mailbox.place).where(Mailbox.id == claim.id))
        url, problem, taken, more = given.imap_url, None, 0, False
        if not url or _digest(url) != place:  # it is no longer the one that is set
            with unit_of_work() as uow:
                work.later(uow, KIND, claim, None)
            continue
        try:
            taken, more = visit(imap.read_url(url))
        except (NetError, Invalid) as error:
            problem = error.message
            log.warning("the mailbox cannot be read; it is tried again", extra={"reason": problem})
        with unit_of_work() as uow:
            row = uow.scalars(select(Mailbox).where(Mailbox.id == claim.id)).one()
            row.problem = problem
            row.taken += taken
            if problem is None:
                row.looked_at = uow.now
            uow.flush()
            work.later(uow, KIND, claim, uow.now if more else uow.now + given.imap_every)


def _allowed(mailbox: imap.Mailbox) -> Egress:
    """The operator named that server, so it may be reached wherever it is, also on this machine."""
    rules = current(allow_private=True)
    if rules.muzzled:
        return rules
    host = f"[{mailbox.host}]" if ":" in mailbox.host else mailbox.host
    return replace(rules, allow=(*rules.allow, f"{host}:{mailbox.port}"))


def _digest(url: str) -> str:
    """One mailbox, whatever its password is now."""
    box = imap.read_url(url)
    return hashlib.sha256(f"{box.user}\0{box.host}\0{box.port}\0{box.folder}".encode()).hexdigest()


KIND = work.register(work.WorkKind("ingest.mailbox", Mailbox, _handle, batch=1, concurrency=1))
