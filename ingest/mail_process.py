"""What becomes of a mail: it opens an incident, joins the one of its campaign, is added to its conversation, or is left alone."""

import hashlib
import io
import re
from dataclasses import dataclass, replace
from datetime import timedelta
from email.utils import parseaddr
from functools import partial
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import literal, select

from connectors.entities import defang, entity
from core import blobs, chosen, logs, metrics, work
from core.db import UnitOfWork, reading, unit_of_work
from core.errors import Conflict, Invalid
from core.settings import settings
from incidents import mails, named, reporter_links, reporting
from incidents.attachments import Upload
from incidents.models import Incident, Reporter, ReporterMessage
from incidents.reporting import ReportDraft
from ingest import mail_door, mail_facts, mail_reading
from ingest.mail_models import ADDED, IGNORED, JOINED, OPENED, MailIn
from ingest.mail_reading import File, Mail
from notify.models import Message

log = logs.get(__name__)
MAILS = metrics.counter("tocsin_mails_total", "Mails that came in, by what became of them.", "state")

CAMPAIGN = timedelta(days=7)
"""Reports of the same mail within so long are one incident, as long as it is open."""
SHOWN = 4_000
"""Letters of the evidence's text that stand in the incident's description."""
_QUOTE = re.compile(
    r"^(?:>|-{3,}\s*(?:original|forwarded|weitergeleitet|mensaje)|(?:on|am|el|le) .{5,200}(?:wrote|schrieb|escribió|a écrit)\s*:)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Evidence:
    """The mail that is reported: the one inside a forward, else the mail itself."""

    mail: Mail
    raw: bytes
    forwarded: bool


@dataclass(frozen=True)
class Understood:
    """A mail as it was read, with what a report of it would hold: made before a transaction begins, since it may take long."""

    mail: Mail
    campaign: str
    draft: ReportDraft
    reply: ReportDraft


def _handle(claims: list[work.Claim]) -> None:
    for claim in claims:
        with reading() as session:
            digest = session.get_one(MailIn, claim.id).digest
            raw = blobs.get(session, digest) if digest is not None else b""
        try:
            found: Understood | str = understand(raw)
        except Invalid as error:
            found = error.message
        with unit_of_work() as uow:
            row = uow.get_one(MailIn, claim.id, with_for_update=True)
            if isinstance(found, str):
                _open_unread(uow, row, raw, found)
            else:
                row.sender, row.subject = found.mail.sender.email[:320], found.mail.subject[:500]
                _decide(uow, row, found)
            state = row.state
            uow.flush()
            work.finish(uow, KIND, claim)
            uow.after_commit(partial(MAILS.add, state))


def understand(raw: bytes) -> Understood:
    """Read a mail and everything in it. Raises Invalid."""
    mail = mail_reading.read(raw)
    evidence = _evidence(mail, raw)
    return Understood(mail, _campaign(evidence), _draft(mail, raw, evidence), _reply(mail))


def _decide(uow: UnitOfWork, row: MailIn, found: Understood) -> None:
    mail = found.mail
    if why := _not_from_a_person(uow, row, mail):
        row.state, row.why = IGNORED, why
        return
    reporter = _thread(uow, row, mail)
    if reporter is not None:
        _add(uow, row, found, reporter)
        return
    row.campaign = found.campaign
    into = _same_campaign(uow, row) or mails.same_wave(uow, found.draft.files)
    made = reporting.receive(uow, found.draft, into=into)
    row.state, row.incident_id = (JOINED if into else OPENED), made.incident_id
    row.why = f"the same mail was reported as {into.key}" if into else None
    if reporting.may_thank(uow, made.email):
        reporting.thank(uow, made)


def _not_from_a_person(uow: UnitOfWork, row: MailIn, mail: Mail) -> str:
    """Why a mail neither opens nor answers anything; "" when somebody wrote it."""
    host = urlsplit(settings().base_url).hostname or "tocsin.invalid"
    if mail.message_id.casefold().endswith(f"@{host}>".casefold()):
        return "Tocsin sent it itself"
    if mail.sender.email.casefold() == parseaddr(chosen.effective(uow).smtp_from)[1].casefold():
        return "it comes from our own address"
    if row.via == "smtp" and not row.envelope_from:
        return "an automatic mail: an empty return path"
    return f"an automatic mail: {mail.automatic}" if mail.automatic else ""


def _thread(uow: UnitOfWork, row: MailIn, mail: Mail) -> Reporter | None:
    """Whose conversation a mail belongs to: by its token, or because it answers a mail of it."""
    if (found := reporter_links.by_thread(uow, mail.subject, mail.to, " ".join(row.recipients))) is not None:
        return found
    if not mail.answers:
        return None
    ours = [of for answer in mail.answers if (of := _uuid(answer.strip("<>").partition("@")[0]))]
    if ours:
        sent = select(ReporterMessage.reporter_id).where(ReporterMessage.sent_as.in_(ours))
        told = select(Message.subject_id).where(Message.id.in_(ours), Message.subject_kind == "incident")
        if (of := uow.scalar(sent.limit(1))) is not None:
            return uow.get(Reporter, of)
        incidents = [number for text in uow.scalars(told) if (number := _uuid(text))]
        return _of_sender(uow, mail, Reporter.incident_id.in_(incidents)) if incidents else None
    theirs = select(ReporterMessage.reporter_id).where(ReporterMessage.message_id.in_(mail.answers))
    return _of_sender(uow, mail, Reporter.id.in_(theirs))


def _of_sender(uow: UnitOfWork, mail: Mail, condition: object) -> Reporter | None:
    """The reporter with the sender's address: an id of a mail proves less than our token."""
    query = select(Reporter).where(condition).order_by(Reporter.created_at.desc()).limit(50)  # type: ignore[arg-type]  # a column expression
    mine = mail.sender.email.casefold()
    return next((one for one in uow.scalars(query) if one.email and one.email.casefold() == mine), None)


def _reply(mail: Mail) -> ReportDraft:
    """A mail as a part of a conversation: what was written above the quote, and what came along."""
    files = [_kept_mail(f"mail-{n}.eml", one) for n, one in enumerate(mail.inner, 1)]
    files += [_upload(one) for one in mail.files]
    return ReportDraft(mail.subject, _own_words(mail.text) or mail.subject, files=files)


def _add(uow: UnitOfWork, row: MailIn, found: Understood, reporter: Reporter) -> None:
    sender, text = found.mail.sender.email, found.reply.text
    if sender.casefold() != (reporter.email or "").casefold():
        text = f"(from {defang('email', sender)})\n{text}"
    row.incident_id = reporter.incident_id
    try:
        reporting.add(
            uow,
            reporter,
            text,
            via="mail",
            files=found.reply.files,
            message_id=found.mail.message_id[:300] or None,
        )
    except (Invalid, Conflict) as error:
        row.state, row.why = IGNORED, error.message
    else:
        row.state = ADDED


def _open_unread(uow: UnitOfWork, row: MailIn, raw: bytes, why: str) -> None:
    """A mail that cannot be read may be an attack on its reader: a person sees it, as a file."""
    sender = row.envelope_from if reporting.is_address(row.envelope_from) else None
    draft = ReportDraft(
        subject="A mail that cannot be read", text="", name=row.envelope_from or "unknown", email=sender, origin="mail",
        category="phishing", files=[_upload(File("mail.eml", raw))], known=f"{why} It is kept as a file.",
    )  # fmt: skip
    made = reporting.receive(uow, draft)
    row.state, row.why, row.incident_id = OPENED, why, made.incident_id


def _evidence(mail: Mail, raw: bytes) -> Evidence:
    for inner in mail.inner:
        try:
            return Evidence(mail_reading.read(inner), inner, forwarded=True)
        except Invalid:
            continue
    return Evidence(mail, raw, forwarded=False)


def _draft(mail: Mail, raw: bytes, evidence: Evidence) -> ReportDraft:
    words = _own_words(mail.text) if evidence.forwarded else ""
    files = [_upload(File("mail.eml", raw))]
    if evidence.forwarded:
        files.append(replace(_upload(File("reported.eml", evidence.raw)), mail=mail_facts.of_mail(evidence.mail)))
    files += [_upload(one) for one in (*mail.files, *(evidence.mail.files if evidence.forwarded else ()))]
    email = mail.sender.email if reporting.is_address(mail.sender.email) else None
    subject = (
        mails.PREFIX.sub("", evidence.mail.subject) or mails.PREFIX.sub("", mail.subject) or "A mail without a subject"
    )
    heard = None if evidence.forwarded else named.category_of(mail.subject, mail.text[:SHOWN])
    return ReportDraft(
        subject=subject, text=words, name=mail.sender.name or mail.sender.email, email=email, origin="mail",
        category="phishing" if evidence.forwarded else heard, files=files, values=_values(evidence.mail),
        message_id=mail.message_id[:300] or None, known=told(evidence.mail),
    )  # fmt: skip


def told(mail: Mail) -> str:
    """A mail's essentials as text with lists (Markdown), its links and addresses defanged."""
    heads = [f"From: {mail.sender.name} <{defang('email', mail.sender.email)}>"]
    if mail.reply_to:
        heads.append("Reply-To: " + ", ".join(defang("email", one.email) for one in mail.reply_to[:5]))
    claimed = ", ".join(f"{check}={result}" for check, result in mail.claimed)
    heads += [
        f"Subject: {mail.subject}",
        f"Date: {mail.date}",
        f"Message-ID: {defang('email', mail.message_id)}",
        f"Claimed in its headers: {claimed or 'nothing of SPF, DKIM or DMARC'}",
    ]
    links = [defang("url", link) for link in mail.links[:30]]
    files = [f"{one.name} ({hashlib.sha256(one.content).hexdigest()})" for one in mail.files]
    parts = [_listed("", heads), _listed("Links:", links), _listed("Attachments:", files)]
    if mail.cut:
        parts.append("Something was left out here because there is too much of it; the file has all.")
    parts.append(mail.text[:SHOWN] + ("…" if len(mail.text) > SHOWN else ""))
    return "\n\n".join(part for part in parts if part)


def _listed(head: str, lines: list[str]) -> str:
    listed = "\n".join(f"- {line}" for line in lines)
    return f"{head}\n\n{listed}" if head and listed else listed


def _values(mail: Mail) -> list[tuple[str, str, str]]:
    """What a mail names, each with its part in it: at most a few hundred."""
    found: dict[tuple[str, str, str], None] = {}
    for address, role in ((mail.sender, "sender"), *((one, "reply-to") for one in mail.reply_to[:5])):
        if (value := entity("email", address.email, role)) is not None:
            found[value.type, value.value, role] = None
            domain = entity("domain", value.value.rpartition("@")[2], role)
            if domain is not None:
                found[domain.type, domain.value, role] = None
    for one in named.values_in("\n".join(mail.links), mail.text):
        found[one.type, one.value, "artifact"] = None
    for file in mail.files:
        found["file-hash", hashlib.sha256(file.content).hexdigest(), "attachment"] = None
    return list(found)[:300]


def _campaign(evidence: Evidence) -> str:
    """The same sender and subject, or the same Message-ID: the same mail to many."""
    subject = " ".join(mails.PREFIX.sub("", evidence.mail.subject).casefold().split())
    parts = (
        (evidence.mail.sender.email.casefold(), subject)
        if evidence.forwarded
        else (evidence.mail.message_id,)
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _same_campaign(uow: UnitOfWork, row: MailIn) -> Incident | None:
    query = (
        select(Incident)
        .join(MailIn, MailIn.incident_id == Incident.id)
        .where(MailIn.campaign == row.campaign, MailIn.id != row.id, MailIn.created_at > uow.now - CAMPAIGN)
        .where(Incident.closed_at.is_(None), Incident.restricted_to.is_(None))
        .order_by(Incident.id)
        .limit(1)
    )
    return uow.scalar(query)


def _own_words(text: str) -> str:
    """What somebody wrote above what they quote."""
    lines: list[str] = []
    for line in text.splitlines():
        if _QUOTE.match(line.strip()):
            break
        lines.append(line)
    return "\n".join(lines).strip()


def _upload(file: File) -> Upload:
    return Upload(file.name, blobs.measure(io.BytesIO(file.content), 10 * settings().max_upload))


def _kept_mail(name: str, raw: bytes) -> Upload:
    file = _upload(File(name, raw))
    return replace(file, mail=mail_facts.of_upload(file))


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


KIND = work.register(
    work.WorkKind(
        mail_door.WORK,
        MailIn,
        _handle,
        batch=1,
        about=[select(MailIn.id, literal("incident"), MailIn.incident_id).where(MailIn.incident_id.is_not(None))],
    )
)
