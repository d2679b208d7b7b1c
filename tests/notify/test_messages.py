"""Plain messages: sent once, tried again when that is safe, set aside when nobody can know."""

from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from held_time import HeldClock
from mail_server import MailServer

from core import db, work
from core.actors import SYSTEM
from core.auth import users
from core.db import reading, unit_of_work
from core.errors import Invalid, NotFound
from core.journal import entries
from core.settings import configure, settings
from core.types import Ref
from notify import contacts, inbox, messages, queries, sending
from notify.models import Message

pytestmark = pytest.mark.usefixtures("database", "clock")
SUBJECT = Ref("incident", str(uuid4()))
Drain = Callable[..., int]


@pytest.fixture(autouse=True)
def mail(smtp_server: MailServer, database: object) -> MailServer:
    configured = configure(settings().with_(smtp_url=smtp_server.url, smtp_from="tocsin@example.org"))
    db.configure(configured)
    return smtp_server


def tell(channel: str, to: str | None, text: str = "line one\nline two\nline three") -> UUID:
    with unit_of_work() as uow:
        return messages.message(
            uow, SYSTEM, channel=channel, to=to, title="Account locked", text=text, subject=SUBJECT
        ).id


def look(message_id: UUID) -> Message:
    with reading() as session:
        return session.get_one(Message, message_id)


def facts_told() -> list[str]:
    with reading() as session:
        return [entry.verb for entry in entries(session, ref=SUBJECT)]


def user(email: str = "ana@example.org") -> UUID:
    with unit_of_work() as uow:
        return users.create(uow, SYSTEM, email=email, name="Ana", roles=["responder"]).id


def test_a_mail_is_sent_whole_and_its_answer_kept(mail: MailServer, drain: Drain) -> None:
    sent = look(tell("email", "owner@example.org"))
    assert (sent.state, sent.shown) == ("pending", "owner@example.org")
    drain()
    row = look(sent.id)
    assert row.state == "sent"
    assert row.answer is not None
    assert row.answer.startswith("250")
    assert "line three" in mail.messages[0].get_body(("plain",)).get_content()  # type: ignore[union-attr]  # it has one
    assert facts_told() == ["message.sent"]


def test_what_may_pass_is_tried_again_what_may_not_is_set_aside(
    mail: MailServer, drain: Drain, clock: HeldClock
) -> None:
    mail.refuse_with = "451 4.3.0 later"
    message_id = tell("email", "owner@example.org")
    drain()
    assert look(message_id).due_at is not None
    mail.refuse_with = None
    clock.advance(minutes=5)
    drain()
    assert look(message_id).state == "sent"
    mail.refuse_with = "550 5.1.1 no such user"
    refused = tell("email", "nobody@example.org")
    drain()
    assert look(refused).parked_at is not None
    assert facts_told()[0] == "message.failed"
    mail.refuse_with = None
    with unit_of_work() as uow:
        work.replay(uow, SYSTEM, "notify.messages", refused)
    drain()
    assert look(refused).state == "sent"


def test_cut_off_messages_wait_for_a_person(
    mail: MailServer, drain: Drain, clock: HeldClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    class PowerCut(BaseException):
        pass

    real = messages._conclude

    def cut(*_: object) -> None:
        raise PowerCut

    monkeypatch.setattr(messages, "_conclude", cut)
    message_id = tell("email", "owner@example.org")
    with pytest.raises(PowerCut):
        drain("notify.messages")
    monkeypatch.setattr(messages, "_conclude", real)
    clock.advance(seconds=61)
    drain("notify.messages")
    row = look(message_id)
    assert (row.state, row.failure) == ("unknown", sending.CUT_OFF)
    assert row.parked_at is not None
    assert len(mail.messages) == 1


def test_destinations(mail: MailServer, drain: Drain) -> None:
    ana = user()
    with unit_of_work() as uow:
        contacts.add(
            uow, SYSTEM, user_id=None, channel="email", address={"to": "soc@example.org"}, name="The SOC"
        )
    tell("email", "The SOC")
    tell("email", None)
    tell("email", f"user:{ana}")
    tell("email", "user:ana@example.org")
    tell("inbox", "ana@example.org")
    drain()
    assert sorted(m["To"] for m in mail.messages) == ["ana@example.org"] * 2 + ["soc@example.org"] * 2
    with reading() as session:
        assert inbox.unread(session, ana) == 1
        assert len(queries.messages(session, [SUBJECT])) == 5


def test_what_leads_nowhere_is_refused_with_a_sentence() -> None:
    user()
    for channel, to, error, said in (
        ("pigeon", "x", NotFound, "no channel"),
        ("ntfy", None, Invalid, "no shared places"),
        ("ntfy", "user:ana@example.org", Invalid, "no contact method for ntfy"),
        ("email", "user:eve@example.org", NotFound, "no user"),
        ("email", "on_call:soc", NotFound, "no schedule"),
    ):
        with unit_of_work() as uow, pytest.raises(error, match=said):
            messages.message(uow, SYSTEM, channel=channel, to=to, title="t", text="t", subject=SUBJECT)
