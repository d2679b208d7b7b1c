"""The witness: a checkpoint leaves the machine, to a mailbox or an address that its administrator cannot alter."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.message import EmailMessage
from uuid import NAMESPACE_URL, UUID, uuid5

from sqlalchemy import BigInteger, Connection, Integer, Text, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from core import chosen, facts, heartbeat, sealing, signing, work
from core.actors import SYSTEM, Actor
from core.backoff import Backoff
from core.db import Base, UnitOfWork, is_postgres, reading, unit_of_work
from core.errors import Invalid
from core.journal import Fact, JournalCheckpoint, record
from core.net import http, smtp
from core.net.egress import current
from core.net.errors import NetFailed
from core.settings import Settings
from core.types import Identified, Instant, Ref
from core.witness_places import name_of


class JournalWitness(Identified, work.Work, Base):
    """One witness: what it is called, the last checkpoint it got, and when; its address stays in the settings."""

    __tablename__ = "journal_witnesses"

    name: Mapped[str] = mapped_column(Text)
    size: Mapped[int | None] = mapped_column(BigInteger().with_variant(Integer, "sqlite"))
    kept_at: Mapped[datetime | None] = mapped_column(Instant)
    answer: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (work.due_index("journal_witnesses"),)


@dataclass(frozen=True)
class Kept:
    """What a witness has: its name, the entries its last checkpoint covers, since when, and what went wrong lately."""

    name: str
    size: int | None
    at: datetime | None
    error: str | None
    id: UUID | None = field(default=None, compare=False)


def witnesses(session: Session) -> list[Kept]:
    """Every witness that is set up, with what it keeps."""
    rows = session.scalars(select(JournalWitness).where(JournalWitness.id.in_(list(_targets(session)))))
    return [Kept(row.name, row.size, row.kept_at, row.error, row.id) for row in rows]


def seed(uow: UnitOfWork, wait: timedelta = timedelta(0)) -> None:
    """Give each witness that is set up its row, due after `wait` if it is not yet; harmless to repeat.

    Raises Invalid for an address of no use.
    """
    insert = (postgresql.insert if is_postgres(uow) else sqlite.insert)(JournalWitness)
    rows = [
        {"id": key, "name": name_of(target), "due_at": uow.now + wait, "fence": 0, "attempts": 0}
        for key, target in _targets(uow).items()
    ]
    if not rows:
        return
    uow.execute(insert.on_conflict_do_nothing(), rows)
    again = JournalWitness.id.in_([row["id"] for row in rows]), JournalWitness.due_at.is_(None)
    uow.execute(update(JournalWitness).where(*again).values(due_at=uow.now + wait, parked_at=None, error=None))
    uow.wake(KIND.name)


def id_of(target: str) -> UUID:
    """The id of the witness at an address."""
    return uuid5(NAMESPACE_URL, target)


def _targets(held: Session | Connection) -> dict[UUID, str]:
    return {id_of(target): target for target in chosen.effective(held).witness}


def _handle(claims: list[work.Claim]) -> None:
    for claim in claims:
        with reading() as session:
            given = chosen.effective(session)
            row, last = session.get(JournalWitness, claim.id), sealing.latest(session)
        target = {id_of(one): one for one in given.witness}.get(claim.id)
        if target is None or row is None:
            with unit_of_work() as uow:  # it is no longer in the settings
                work.finish(uow, KIND, claim)
            continue
        news = last is not None and (row.size is None or last.size > row.size)
        answer = send(given, target, last) if last is not None and news else None
        with unit_of_work() as uow:
            if last is not None and answer is not None:
                note(uow, SYSTEM, claim.id, last, answer, given.witness_every)
            # Before the first entry is sealed there is nothing to keep: soon there is.
            wait = given.witness_every if last is not None else timedelta(seconds=30)
            work.later(uow, KIND, claim, uow.now + wait)


def note(
    uow: UnitOfWork, actor: Actor, witness_id: UUID, last: JournalCheckpoint, answer: str, pause: timedelta
) -> None:
    """A witness has got this checkpoint and answered so; the next one is due after the pause."""
    kept = uow.get_one(JournalWitness, witness_id)
    kept.size, kept.kept_at, kept.answer, kept.error = last.size, uow.now, answer[:500], None
    kept.due_at = uow.now + pause
    told = {"witness": kept.name, "size": last.size, "answer": answer[:500]}
    record(uow, actor, Fact(facts.WITNESSED, (Ref("witness", str(kept.id)),), told))


def send(given: Settings, target: str, checkpoint: JournalCheckpoint) -> str:
    """Hand a checkpoint to a witness and return what it answered. Raises NetError, Invalid."""
    return _mail(given, target, checkpoint) if target.startswith("mailto:") else _post(target, checkpoint)


def _mail(given: Settings, target: str, checkpoint: JournalCheckpoint) -> str:
    url = given.smtp_url
    if url is None:
        raise Invalid(
            "A witness by mail needs a mail server: set one on Settings, Installation, or TOCSIN_SMTP_URL."
        )
    message = EmailMessage()
    message["From"], message["To"] = given.smtp_from, name_of(target)
    message["Subject"] = f"Checkpoint of {signing.origin()}: {checkpoint.size:,} entries"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(
        f"This is the seal of the first {checkpoint.size:,} entries of Tocsin's journal at {signing.origin()}.\n\n"
        f"{checkpoint.note}\n"
        "Keep this message where the administrators of Tocsin cannot change it. To ask later whether anything before\n"
        "this moment has been altered, save it as a file and run\n\n"
        "    tocsin audit verify --checkpoint FILE\n\n"
        f"The public key is {signing.public_key().text}\n",
        cte="quoted-printable",
    )
    message.add_attachment(
        checkpoint.note.encode(), maintype="text", subtype="plain", filename="checkpoint.txt"
    )
    return str(smtp.send(url, message, egress=heartbeat.towards(url)))


def _post(target: str, checkpoint: JournalCheckpoint) -> str:
    told = {
        "origin": signing.origin(), "size": checkpoint.size, "at": checkpoint.at.isoformat(),
        "checkpoint": checkpoint.note, "key": signing.public_key().text,
    }  # fmt: skip
    response = http.send(
        http.Request(method="POST", url=target, json=told), egress=current(allow_private=True)
    )
    if not response.ok:
        raise NetFailed(f"the witness answered {response.status}", sent=True)
    return f"{response.status}"


KIND = work.register(
    work.WorkKind(
        "core.witness", JournalWitness, _handle, batch=1, max_attempts=1_000_000, concurrency=1,
        backoff=Backoff(first=timedelta(seconds=30), cap=timedelta(hours=1)),
    )
)  # fmt: skip
"""A witness is tried for ever: what went wrong stands on the journal's page."""
