"""Reports of people without an account: taken in, added to, answered; their words stay theirs and are trusted little."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import chosen, journal, limits
from core.actors import SYSTEM, Actor, ActorKind
from core.auth import permissions
from core.db import UnitOfWork
from core.errors import Conflict, Invalid, NotFound, Problem, TooMany
from core.ids import new_id
from core.journal import Fact
from core.types import Ref, Severity
from incidents import attachments, facts, lifecycle, named, observables, reporter_links
from incidents.attachments import Upload
from incidents.lifecycle import IncidentDraft
from incidents.models import Attachment, Incident, Reporter, ReporterMessage
from incidents.observables import Seen
from incidents.permissions import ANSWER, EDIT, OPEN, READ
from incidents.stages import Kind, Stage, Tlp, WaitingOn
from incidents.visibility import belongs_to_visible
from notify import messages
from notify.models import Message
from notify.wording import block, disarmed, one_line

MOST_TEXT = 20_000
MOST_MESSAGES = 200
"""So many messages one reporter may leave on an incident."""


@dataclass(frozen=True)
class ReportDraft:
    """What somebody reports. `category` None: as their words sound. `message_id` is that of the mail it came by."""

    subject: str
    text: str
    name: str = ""
    email: str | None = None
    origin: str = "form"
    category: str | None = None
    files: Sequence[Upload] = ()
    values: Sequence[tuple[str, str, str]] = field(default=())  # (type, value, role) seen beside the words
    message_id: str | None = None
    known: str | None = None  # what is known of it beside their words, in plain text


def actor_of(reporter: Reporter) -> Actor:
    """The reporter as the journal names them; they hold no permission."""
    return Actor(ActorKind.reporter, str(reporter.id), reporter.name)


def receive(uow: UnitOfWork, draft: ReportDraft, *, into: Incident | None = None) -> Reporter:
    """Open an incident of kind report for what somebody without an account says, or let them join one. Raises Invalid.

    Its trust is low: nothing disruptive follows from it without a person.
    """
    subject, text = one_line(draft.subject, 300), _text(draft.text)
    if not subject:
        raise Invalid(
            "Say in a few words what it is.", [Problem("subject", "Say in a few words what it is.")]
        )
    reporter_id, name = new_id(), one_line(draft.name, 200) or "A reporter"
    opener = Actor(ActorKind.reporter, str(reporter_id), name, frozenset({OPEN.name, READ.name, EDIT.name}))
    known = "\n\n".join(part for part in (text, draft.known) if part)
    incident = into or lifecycle.open_by_hand(uow, opener, IncidentDraft(
        title=subject, severity=Severity.medium, description=disarmed(known) or None, kind=Kind.report,
        category=draft.category or named.category_of(subject, text), trust="low",
        source="reported by mail" if draft.origin == "mail" else "report form",
    ))  # fmt: skip
    reporter = Reporter(
        id=reporter_id, created_at=uow.now, incident_id=incident.id, key=incident.key, name=name, email=draft.email,
        subject=subject, origin=draft.origin, link=1,
    )  # fmt: skip
    uow.add(reporter)
    uow.flush()
    words = [(one.type, one.value, "artifact") for one in named.values_in(subject, text)]
    _note(uow, incident.id, [*words, *draft.values], name)
    _keep(uow, reporter, text or subject, "mail" if draft.origin == "mail" else "form", draft.message_id)
    _keep_files(uow, reporter, draft.files, draft.origin, once=into is not None)
    return reporter


def add(
    uow: UnitOfWork,
    reporter: Reporter,
    text: str,
    *,
    via: str,
    files: Sequence[Upload] = (),
    message_id: str | None = None,
) -> ReporterMessage:
    """What a reporter says later. An incident that waited for them is ours again; its lead is told. Raises Invalid, Conflict."""
    body = _text(text)
    if not body.strip() and not files:
        raise Invalid("Write something first.", [Problem("text", "Write something first.")])
    mine = select(ReporterMessage.id).where(
        ReporterMessage.reporter_id == reporter.id, ReporterMessage.inward
    )
    if len(uow.scalars(mine.limit(MOST_MESSAGES)).all()) >= MOST_MESSAGES:
        raise Conflict("There are very many messages here already; please call instead.")
    said = _keep(uow, reporter, body or "(files only)", via, message_id)
    _keep_files(uow, reporter, files, "mail" if via == "mail" else "report")
    values = [(one.type, one.value, "artifact") for one in named.values_in(body)]
    _note(uow, reporter.incident_id, values, reporter.name)
    incident = uow.get_one(Incident, reporter.incident_id)
    if incident.waiting_on == WaitingOn.reporter:
        lifecycle.wait_on(uow, SYSTEM, incident.id, None)
    if incident.owner_id is not None:
        messages.message(
            uow, SYSTEM, channel="inbox", to=f"user:{incident.owner_id}", title=f"{incident.key}: the reporter has written",
            text=one_line(body, 200), subject=incident.ref, path=f"/incidents/{incident.key}",
        )  # fmt: skip
    return said


def is_address(text: str) -> bool:
    """Whether something can be a mail address that we may write to: one, plain, with a domain."""
    return named.is_mail(text) and not any(letter in text for letter in "<>,;\r\n\t ")


def may_thank(uow: UnitOfWork, email: str | None) -> bool:
    """Whether an address may be thanked once more: at most three times a day, so that nobody is flooded in our name."""
    if email is None:
        return False
    try:
        limits.count(uow, "thanks", email.casefold(), most=3, overall=500, within=timedelta(hours=24))
    except TooMany:
        return False
    return True


def thank(uow: UnitOfWork, reporter: Reporter) -> Message | None:
    """Tell a reporter their number and the address of their status page by mail, if they gave theirs and mail is set up.

    Nothing that they wrote is repeated: whoever names somebody else's address sends them no words of theirs.
    """
    title = f"[{reporter_links.thread_token(reporter)}] Thank you, we have your report"
    text = (
        f"Your number is {reporter.key}. The link below shows how it goes on; you can add to your report there, or by "
        "answering this mail. If you did not report anything, you can ignore it."
    )
    sent = _mail(uow, SYSTEM, reporter, title, text)
    if sent is not None:
        reporter.thanked_at = uow.now
    return sent


def tell_closed(uow: UnitOfWork, actor: Actor, reporter: Reporter) -> Message | None:
    """Tell a reporter by mail that we are done; what it was is for a person to tell."""
    title = f"[{reporter_links.thread_token(reporter)}] We are done with your report"
    text = f"{reporter.key} is closed. Thank you for telling us. If it happens again, answer this mail."
    return _mail(uow, actor, reporter, title, text)


def keeps_back(incident: Incident) -> bool:
    """Whether reporters are not even told how far it is."""
    return incident.restricted_to is not None or incident.tlp in (Tlp.red, Tlp.amber_strict)


def answer(
    uow: UnitOfWork, actor: Actor, incident_id: UUID, reporter_id: UUID, text: str, *, asks: bool = False
) -> ReporterMessage:
    """Tell a reporter something: on their page, and by mail if they gave an address. `asks`: now we wait for them.

    Raises NotFound, Invalid.
    """
    permissions.require(actor, ANSWER.name)
    reporter = _visible(uow, actor, incident_id, reporter_id)
    body = _text(text)
    if not body.strip():
        raise Invalid("Write something first.", [Problem("text", "Write something first.")])
    title = f"[{reporter_links.thread_token(reporter)}] About your report"
    sent = _mail(uow, actor, reporter, title, body)
    said = ReporterMessage(
        id=new_id(), created_at=uow.now, incident_id=incident_id, reporter_id=reporter.id, inward=False,
        via="mail" if sent is not None else "page", by_name=actor.name, body=body, sent_as=sent.id if sent else None,
    )  # fmt: skip
    uow.add(said)
    refs = (Ref("incident", str(incident_id)), reporter.ref)
    journal.record(
        uow,
        actor,
        Fact(facts.REPORTER_ANSWERED, refs, {"via": said.via, "asks": asks}, {"text": disarmed(body)}),
    )
    if asks:
        lifecycle.wait_on(uow, actor, incident_id, WaitingOn.reporter)
    return said


def end_link(uow: UnitOfWork, actor: Actor, incident_id: UUID, reporter_id: UUID, *, renew: bool) -> Reporter:
    """Make the address of a status page useless; with `renew` there is a new one. Raises NotFound."""
    permissions.require(actor, ANSWER.name)
    reporter = _visible(uow, actor, incident_id, reporter_id)
    reporter.link += 1
    reporter.link_ended_at = None if renew else uow.now
    refs = (Ref("incident", str(incident_id)), reporter.ref)
    journal.record(uow, actor, Fact(facts.REPORTER_LINK_ENDED, refs, {"renewed": renew}))
    return reporter


def reporters(session: Session, actor: Actor, incident_id: UUID) -> Sequence[Reporter]:
    """Who reported an incident, if the actor may see it."""
    query = select(Reporter).where(
        Reporter.incident_id == incident_id, belongs_to_visible(actor, Reporter.incident_id)
    )
    return session.scalars(query.order_by(Reporter.created_at).limit(50)).all()


def conversation(session: Session, actor: Actor, incident_id: UUID) -> Sequence[ReporterMessage]:
    """What was said with the reporters of an incident, oldest first, if the actor may see it: the last 200 messages."""
    query = select(ReporterMessage).where(
        ReporterMessage.incident_id == incident_id, belongs_to_visible(actor, ReporterMessage.incident_id)
    )
    return session.scalars(query.order_by(ReporterMessage.id.desc()).limit(200)).all()[::-1]


@dataclass(frozen=True)
class Status:
    """All that a reporter is told: nothing of what is known, only how far it is. `stage` is None where even that is kept back."""

    key: str
    subject: str
    stage: Stage | None
    closed: bool
    waits_for_you: bool
    said: Sequence[ReporterMessage]
    files: Sequence[str]


def status(session: Session, reporter: Reporter) -> Status:
    """How it goes on, for their page; their own words and files, and what they were told."""
    incident = session.get_one(Incident, reporter.incident_id)
    kept_back = keeps_back(incident)
    said = session.scalars(
        select(ReporterMessage)
        .where(ReporterMessage.reporter_id == reporter.id)
        .order_by(ReporterMessage.id.desc())
        .limit(100)
    ).all()[::-1]
    files = session.scalars(
        select(Attachment.name)
        .where(Attachment.incident_id == incident.id, Attachment.added_by_kind == ActorKind.reporter)
        .where(Attachment.added_by_id == str(reporter.id))
        .order_by(Attachment.id)
        .limit(100)
    ).all()
    return Status(
        reporter.key, reporter.subject, None if kept_back else Stage(incident.stage),
        incident.closed_at is not None and not kept_back, incident.waiting_on == WaitingOn.reporter, said, files,
    )  # fmt: skip


def _keep(
    uow: UnitOfWork, reporter: Reporter, body: str, via: str, message_id: str | None
) -> ReporterMessage:
    said = ReporterMessage(
        id=new_id(), created_at=uow.now, incident_id=reporter.incident_id, reporter_id=reporter.id, inward=True, via=via,
        by_name=reporter.name, body=body, message_id=message_id,
    )  # fmt: skip
    uow.add(said)
    refs = (Ref("incident", str(reporter.incident_id)), reporter.ref)
    journal.record(
        uow,
        actor_of(reporter),
        Fact(facts.REPORTER_WROTE, refs, {"via": via}, {"text": disarmed(body[:2000])}),
    )
    return said


def _keep_files(
    uow: UnitOfWork, reporter: Reporter, files: Sequence[Upload], origin: str, *, once: bool = False
) -> None:
    """Keep what came along, as far as there is room: a thousand reports of one mail must not be lost for their files."""
    for file in files:
        if attachments.full(uow, reporter.incident_id):
            return
        if not (once and attachments.known(uow, reporter.incident_id, file.content.digest)):
            attachments.keep(uow, actor_of(reporter), reporter.incident_id, file, origin=origin)


def _mail(uow: UnitOfWork, actor: Actor, reporter: Reporter, title: str, text: str) -> Message | None:
    if reporter.email is None or chosen.effective(uow).smtp_url is None:
        return None
    path = "" if reporter.link_ended_at is not None else reporter_links.status_path(reporter)
    return messages.message(
        uow, actor, channel="email", to=reporter.email, title=title, text=text,
        subject=Ref("incident", str(reporter.incident_id)), path=path,
    )  # fmt: skip


def _note(uow: UnitOfWork, incident_id: UUID, values: Sequence[tuple[str, str, str]], by: str) -> None:
    observables.note(
        uow, [Seen(kind, value, role, None, incident_id, uow.now, by) for kind, value, role in values]
    )


def _visible(uow: UnitOfWork, actor: Actor, incident_id: UUID, reporter_id: UUID) -> Reporter:
    query = select(Reporter).where(
        Reporter.id == reporter_id,
        Reporter.incident_id == incident_id,
        belongs_to_visible(actor, Reporter.incident_id),
    )
    reporter = uow.scalar(query)
    if reporter is None:
        raise NotFound("There is no such reporter, or you may not see the incident.")
    return reporter


def _text(text: str) -> str:
    return block(text.replace("\x00", "\ufffd"), MOST_TEXT)
