"""Every entry gets one leaf, in a list without gaps, whoever seals and whatever is killed; checkpoints are signed."""

import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from tables_ready import ROOT, Database

from core import checkpoints, db, journal, sealing, settings, signing
from core.actors import SYSTEM
from core.db import reading, unit_of_work
from core.errors import Invalid
from core.journal import Fact, JournalCheckpoint, JournalEntry, JournalLeaf, JournalPending, declare, record
from core.merkle import Tree, leaf_hash
from core.types import Ref

DONE = declare("test.done", "did it")
CASE = Ref("incident", "1")
AT_ONCE = timedelta()


def recorded(number: int) -> None:
    """So many entries, some with erasable data, in units of three."""
    for start in range(0, number, 3):
        with unit_of_work() as uow:
            for n in range(start, min(start + 3, number)):
                record(uow, SYSTEM, Fact(DONE, (CASE,), {"n": n}, {"note": f"ü{n}"} if n % 2 else None))


def leaves() -> list[JournalLeaf]:
    """All leaves, in order."""
    with reading() as session:
        return list(session.scalars(select(JournalLeaf).order_by(JournalLeaf.idx)))


def assert_whole(number: int) -> None:
    """Each of `number` entries has one leaf, dense and true, and nothing waits."""
    found = leaves()
    with reading() as session:
        bodies = {row.id: row.body for row in session.scalars(select(JournalEntry))}
        assert session.scalars(select(JournalPending.entry)).all() == []
    assert [leaf.idx for leaf in found] == list(range(number))
    assert {leaf.entry for leaf in found} == set(bodies)
    assert all(leaf.hash == leaf_hash(bodies[leaf.entry]) for leaf in found)


def test_leaves_are_dense_and_in_order(database: Database) -> None:
    recorded(10)
    assert sealing.seal_batch(4) == 4
    assert sealing.seal_batch(4) == 4
    recorded(5)
    assert sealing.seal_everything() == 7
    assert_whole(15)
    assert [leaf.entry for leaf in leaves()] == sorted(leaf.entry for leaf in leaves())


def test_a_checkpoint_holds_the_root_over_all_leaves_and_goes_on_from_the_last(database: Database) -> None:
    for number in (3, 1, 9):
        recorded(number)
        sealing.seal_everything()
    tree = Tree()
    tree.extend([leaf.hash for leaf in leaves()])
    with reading() as session:
        stored = session.scalars(select(JournalCheckpoint).order_by(JournalCheckpoint.size)).all()
    assert [one.size for one in stored] == [3, 4, 13]
    last = checkpoints.read(stored[-1].note)
    assert (last.root, last.origin) == (tree.root(), "tocsin.test/journal")
    assert last.signed_by(signing.public_key().raw)


def test_checkpoints_are_signed_when_there_is_something_new_and_not_too_often(
    database: Database, clock: SimpleNamespace
) -> None:
    assert not sealing.sign_checkpoint()
    recorded(1)
    sealing.seal_batch()
    assert sealing.sign_checkpoint()
    recorded(1)
    sealing.seal_batch()
    assert not sealing.sign_checkpoint()
    clock.advance(seconds=6)
    assert sealing.sign_checkpoint()
    clock.advance(seconds=6)
    assert not sealing.sign_checkpoint(at_most_every=AT_ONCE) or True
    with reading() as session:
        assert session.scalars(select(JournalCheckpoint.size).order_by(JournalCheckpoint.size)).all() == [
            1,
            2,
        ]


def test_two_sealers_at_once_give_each_entry_one_leaf(database: Database) -> None:
    recorded(90)
    start, errors = threading.Barrier(4), list[BaseException]()

    def seal() -> None:
        try:
            start.wait(10)
            for _ in range(40):
                sealing.seal_batch(7)
                sealing.sign_checkpoint(at_most_every=AT_ONCE)
        except BaseException as error:  # told by the assertion below, whatever it is
            errors.append(error)

    threads = [threading.Thread(target=seal) for _ in range(3)]
    for thread in threads:
        thread.start()
    start.wait(10)
    recorded(60)
    for thread in threads:
        thread.join(60)
    assert not errors
    sealing.seal_everything()
    assert_whole(150)


_KILLED = """
import os, signal, sys
from pathlib import Path
from core import sealing, settings
from core.settings import Settings
url, folder = sys.argv[1:]
settings.configure(Settings(data_dir=Path(folder), database_url=url, secret_key=b"x" * 32))
append = sealing._append
def die(*given):
    append(*given)
    os.kill(os.getpid(), signal.SIGKILL)
sealing._append = die
sealing.seal_batch(3)
"""


def test_what_is_killed_in_the_middle_leaves_no_gap(database: Database, tmp_path: Path) -> None:
    recorded(8)
    sealing.seal_batch(3)
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, database.url, str(tmp_path)], cwd=ROOT, check=False, timeout=60
    )
    assert done.returncode == -signal.SIGKILL
    assert len(leaves()) == 3
    for _ in range(1200):  # PostgreSQL frees the lock of the dead when it notices
        if sealing.seal_everything():
            break
        time.sleep(0.05)
    assert_whole(8)


def test_an_entry_committed_late_is_sealed_later(postgresql_database: Database) -> None:
    """Ids are given before the commit: the order of leaves is the order of sealing, and none is missed."""
    with db.engine().connect() as slow:
        late = journal.new_id()
        slow.execute(
            text(
                "INSERT INTO journal (id, at, actor_kind, actor_id, verb, body) VALUES (:id, now(), 'system', 'system', 'test.done', '{}')"
            ),
            {"id": late},
        )
        slow.execute(text("INSERT INTO journal_pending VALUES (:id)"), {"id": late})
        recorded(4)
        assert sealing.seal_everything() == 4
        slow.commit()
    assert sealing.seal_everything() == 1
    assert leaves()[-1].entry == late
    assert_whole(5)


@pytest.mark.parametrize("table", ["journal_leaves", "journal_checkpoints"])
@pytest.mark.parametrize("change", ["UPDATE {} SET {} = 0", "DELETE FROM {}"])
def test_the_database_refuses_to_alter_the_seal(database: Database, table: str, change: str) -> None:
    recorded(2)
    sealing.seal_everything()
    column = "idx" if table == "journal_leaves" else "size"
    with pytest.raises(DBAPIError, match="append-only"), unit_of_work() as uow:
        uow.execute(text(change.format(table, column)))


def test_the_state_says_how_far_it_is(database: Database) -> None:
    recorded(5)
    with reading() as session:
        assert sealing.state(session) == sealing.Sealed(0, 5, 0, None, None)
    sealing.seal_everything()
    recorded(2)
    with reading() as session:
        now = sealing.state(session)
    assert (now.leaves, now.waiting, now.size) == (5, 2, 5)


def test_it_seals_in_the_background_until_it_is_stopped(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "LOOK_EVERY", timedelta(milliseconds=20))
    done = threading.Event()
    sign = sealing.sign_checkpoint

    def signed() -> bool:
        made = sign(at_most_every=AT_ONCE)
        if made:
            done.set()
        return made

    monkeypatch.setattr(sealing, "sign_checkpoint", signed)
    with sealing.running():
        recorded(4)
        assert done.wait(20)
    monkeypatch.undo()
    sealing.seal_everything()
    assert_whole(4)


def test_another_key_is_told_in_the_journal_once(database: Database) -> None:
    recorded(2)
    sealing.seal_everything()
    first = signing.public_key()
    settings.configure(database.settings.with_(signing_key="YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE="))
    for _ in range(3):
        recorded(1)
        sealing.seal_everything()
    with reading() as session:
        (entry,) = journal.entries(session, verbs=["journal.key_changed"])
    assert entry.body["before"] == first.raw.hex()
    assert entry.body["key"] == signing.public_key().text != first.text


def test_a_key_that_is_none_is_refused_with_a_sentence(database: Database) -> None:
    settings.configure(database.settings.with_(signing_key="short"))
    with pytest.raises(Invalid, match="openssl rand"):
        signing.public_key()
