"""A real mailbox is looked into by one process at a time; a mail is marked or moved once it is stored, and not before."""

from collections.abc import Callable, Iterator

import pytest
from dovecot_server import Dovecot
from held_time import HeldClock
from sample_mails import forward, plain
from sqlalchemy import select

from core import db, work
from core.db import reading, unit_of_work
from core.errors import Invalid, Unavailable
from core.net import Egress, LoginRefused, NetError, NetFailed, NetRefused, imap
from core.settings import configure, settings
from ingest import mail_door, mail_poll
from ingest.mail_models import Mailbox, MailIn

Drain = Callable[..., int]


@pytest.fixture
def polled(database: object, imap_server: Dovecot) -> Iterator[Callable[[str], None]]:
    """Call with a query of the mailbox's address to have it looked into."""
    before = settings()

    def use(query: str) -> None:
        db.configure(configure(before.with_(imap_url=imap_server.url(query, tls=False), max_upload=100_000)))
        with unit_of_work() as uow:
            mail_poll.seed(uow)

    yield use
    configure(before)


def mails() -> list[MailIn]:
    """What came in, oldest first."""
    with reading() as session:
        return list(session.scalars(select(MailIn).order_by(MailIn.created_at, MailIn.id)))


def mailbox() -> Mailbox:
    """The one that is looked into."""
    with reading() as session:
        return session.scalars(select(Mailbox).where(Mailbox.due_at.is_not(None))).one()


def test_what_is_new_is_taken_and_moved(
    polled: Callable[[str], None], imap_server: Dovecot, clock: HeldClock, drain: Drain
) -> None:
    imap_server.deliver(plain().as_bytes())
    imap_server.deliver(forward().as_bytes())
    imap_server.deliver(plain("Huge", "x" * 120_000).as_bytes())
    polled("?starttls=0&insecure=1&done=Done")
    assert work.drain("ingest.mailbox") == 1
    assert [(one.state, one.why is None) for one in mails()] == [
        ("received", True),
        ("received", True),
        ("ignored", False),
    ]
    assert len(imap_server.done()) == 3
    assert imap_server.inbox() == []
    drain("ingest.mail")
    assert [one.state for one in mails()] == ["opened", "opened", "ignored"]
    assert mailbox().taken == 3
    clock.advance(seconds=31)
    assert work.drain("ingest.mailbox") == 1
    assert len(mails()) == 3


def test_nothing_is_marked_before_it_is_stored_and_nothing_is_taken_twice(
    polled: Callable[[str], None], imap_server: Dovecot, clock: HeldClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    imap_server.deliver(plain().as_bytes())
    polled("?starttls=0&insecure=1")
    with monkeypatch.context() as broken:
        broken.setattr(mail_door, "take", _fails)
        work.drain("ingest.mailbox")
    assert mails() == []
    assert not any("S" in name.partition(",")[2] for name in imap_server.inbox()), "it is still new"
    with monkeypatch.context() as broken:
        broken.setattr(imap.Visit, "done", _fails)
        clock.advance(minutes=10)
        work.drain("ingest.mailbox")
    assert len(mails()) == 1
    clock.advance(minutes=10)
    work.drain("ingest.mailbox")
    assert len(mails()) == 1, "it was fetched again and known"
    assert [name.partition(",")[2] for name in imap_server.inbox()] == ["S"]


def _fails(*_: object) -> None:
    raise Unavailable("the database is gone")


def test_a_mailbox_that_cannot_be_read_says_why_and_is_tried_again(
    polled: Callable[[str], None], imap_server: Dovecot, clock: HeldClock
) -> None:
    polled("?starttls=0&insecure=1&done=Done")
    imap_server.stop()
    work.drain("ingest.mailbox")
    assert "cannot be reached" in (mailbox().problem or "")
    clock.advance(seconds=31)
    assert work.drain("ingest.mailbox") == 1


def test_another_mailbox_takes_the_place_of_the_first(polled: Callable[[str], None]) -> None:
    polled("?starttls=0&insecure=1")
    first = mailbox().id
    configure(settings().with_(imap_url="imaps://other:x@mail.example.org/INBOX"))
    with unit_of_work() as uow:
        mail_poll.seed(uow)
    assert mailbox().id != first


def test_the_server_is_known_by_its_certificate_and_we_by_our_password(
    sqlite_database: object, imap_server: Dovecot
) -> None:
    given = imap.read_url(imap_server.url())
    rules = mail_poll._allowed(given)
    with imap.visit(given, egress=rules, ca=imap_server.ca) as box:
        assert box.waiting(10) == []
    with pytest.raises(NetFailed, match=r"(?i)certificate"), imap.visit(given, egress=rules):
        pass
    wrong = imap.read_url(imap_server.url(password="wrong"))
    with (
        pytest.raises(LoginRefused, match="refused the user name"),
        imap.visit(wrong, egress=rules, ca=imap_server.ca),
    ):
        pass
    plain_text = imap.read_url(imap_server.url("?starttls=0", tls=False))
    with (
        pytest.raises(NetFailed, match="without TLS"),
        imap.visit(plain_text, egress=mail_poll._allowed(plain_text)),
    ):
        pass
    with pytest.raises(NetRefused), imap.visit(given, egress=Egress()):
        pass
    nowhere = imap.read_url(imap_server.url().replace("/INBOX", "/Nowhere"))
    with pytest.raises(NetError, match="Nowhere"), imap.visit(nowhere, egress=rules, ca=imap_server.ca):
        pass


@pytest.mark.parametrize(
    "url",
    [
        "http://a:b@c/",
        "imaps://c/INBOX",
        "imaps://a:b@c/IN%22BOX",
        "imaps://a:b@c/?done=x%0d%0ay",
        "imaps://a:b@c/?x=1",
        "imaps://[a",
    ],
)
def test_a_url_that_names_no_mailbox_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(Invalid) as refused:
        imap.read_url(url)
    assert ":b@" not in refused.value.message
