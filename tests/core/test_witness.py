"""A checkpoint reaches its witness by mail or HTTP, not too often, again after a failure, and proves the journal later."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from held_time import HeldClock
from mail_server import MailServer
from tables_ready import Database
from vendor_server import Answer, Vendor

from core import auditing, checkpoints, db, journal, sealing, settings, witness
from core.actors import SYSTEM
from core.db import reading, unit_of_work
from core.errors import Invalid
from core.journal import Fact, declare, record
from core.types import Ref
from core.witness import Kept

DONE = declare("test.done", "did it")
Drain = Callable[..., int]


def sealed(number: int = 3) -> None:
    """So many entries, sealed."""
    with unit_of_work() as uow:
        for n in range(number):
            record(uow, SYSTEM, Fact(DONE, (Ref("incident", str(n)),)))
    sealing.seal_everything()


def set_up(database: Database, *targets: str, smtp_url: str | None = None) -> None:
    """Configure witnesses, as a start of Tocsin does."""
    settings.configure(database.settings.with_(witness=targets, smtp_url=smtp_url))
    db.configure(settings.settings())
    with unit_of_work() as uow:
        witness.seed(uow)
        witness.seed(uow)


def kept() -> list[Kept]:
    """What the journal's page shows of the witnesses."""
    with reading() as session:
        return witness.witnesses(session)


def test_a_mailbox_gets_a_checkpoint_that_proves_the_journal(
    database: Database, smtp_server: MailServer, drain: Drain, clock: HeldClock
) -> None:
    set_up(database, "mailto:auditor@example.org", smtp_url=smtp_server.url)
    assert kept() == [Kept("auditor@example.org", None, None, None)]
    sealed(5)
    drain("core.witness")
    (mail,) = smtp_server.messages
    assert mail["To"] == "auditor@example.org"
    assert "5 entries" in mail["Subject"]
    saved = checkpoints.read(mail.as_string())
    assert saved.size == 5
    assert kept() == [Kept("auditor@example.org", 5, clock.now, None)]
    sealed(4)
    proof = auditing.prove_database(given=[saved])
    with reading() as session:
        (entry,) = journal.entries(session, verbs=["journal.witnessed"])
    assert (proof.found, proof.kept) == (0, [saved])
    assert entry.body["witness"] == "auditor@example.org"
    assert "queued as" in entry.body["answer"]


def test_an_address_gets_one_a_day_and_only_what_is_new(
    database: Database, vendor: Vendor, drain: Drain, clock: HeldClock
) -> None:
    set_up(database, f"{vendor.url}/hidden/path")
    sealed()
    drain("core.witness")
    sealed()
    clock.advance(hours=23)
    drain("core.witness")
    assert [call.json["size"] for call in vendor.calls] == [3]
    clock.advance(hours=2)
    drain("core.witness")
    assert [call.json["size"] for call in vendor.calls] == [3, 7]
    told = vendor.calls[-1].json
    assert checkpoints.read(told["checkpoint"]).signed_by(checkpoints.PublicKey.read(told["key"]).raw)
    assert kept()[0].name == "127.0.0.1"  # the path may be a secret


def test_a_witness_that_fails_is_tried_again_and_said_to_have_failed(
    database: Database, vendor: Vendor, drain: Drain, clock: HeldClock
) -> None:
    set_up(database, vendor.url)
    sealed()
    vendor.answer("POST", "/", Answer(status=500))
    vendor.answer("POST", "", Answer(status=500))
    drain("core.witness")
    assert (kept()[0].size, "500" in (kept()[0].error or "")) == (None, True)
    vendor.answer("POST", "/", Answer())
    clock.advance(minutes=5)
    drain("core.witness")
    assert (kept()[0].size, kept()[0].error) == (3, None)


def test_nothing_is_sent_before_anything_is_sealed(
    database: Database, vendor: Vendor, drain: Drain, clock: HeldClock
) -> None:
    set_up(database, vendor.url)
    drain("core.witness")
    assert vendor.calls == []
    sealed()
    clock.advance(minutes=1)
    drain("core.witness")
    assert len(vendor.calls) == 1


def test_a_witness_that_is_no_longer_set_up_gets_nothing(
    database: Database, vendor: Vendor, drain: Drain, clock: HeldClock
) -> None:
    set_up(database, vendor.url)
    sealed()
    settings.configure(database.settings)
    drain("core.witness")
    assert (vendor.calls, kept()) == ([], [])


def test_mail_without_a_mail_server_says_what_is_missing(
    database: Database, drain: Drain, clock: HeldClock
) -> None:
    set_up(database, "mailto:auditor@example.org")
    sealed()
    drain("core.witness")
    assert "TOCSIN_SMTP_URL" in (kept()[0].error or "")
    clock.advance(timedelta(hours=2))
    drain("core.witness")
    assert kept()[0].size is None


@pytest.mark.parametrize("target", ["auditor@example.org", "mailto:", "ftp://x", "syslog://host"])
def test_an_address_of_no_use_is_refused_at_the_start(database: Database, target: str) -> None:
    with pytest.raises(Invalid, match="TOCSIN_WITNESS"):
        set_up(database, target)
