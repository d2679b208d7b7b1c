"""Whoever alters the journal in its database is found, and what was altered is named."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sealed_journal import DONE, attack, attack_each, entry_at, kinds, newest, proved, sealed
from sqlalchemy import Connection, select, text
from tables_ready import ROOT, Database

from core import auditing, checkpoints, db, sealing, settings, signing
from core.actors import SYSTEM
from core.db import one_moment, reading, unit_of_work
from core.journal import Fact, JournalCheckpoint, record
from core.types import Ref


def test_a_journal_that_was_left_alone_verifies(database: Database) -> None:
    sealed(11)
    proof = proved()
    assert (proof.found, proof.entries, proof.stamps, proof.redacted) == (0, 11, 3, 0)
    assert proof.last == newest()
    assert "11 sealed entries" in auditing.statement(proof)
    assert "only as honest as this machine" in auditing.statement(proof)


def test_an_empty_journal_verifies(database: Database) -> None:
    assert (proved().found, proved().entries) == (0, 0)


def test_entries_that_wait_are_looked_at_too(database: Database) -> None:
    sealed(4)
    with unit_of_work() as uow:
        record(uow, SYSTEM, Fact(DONE, (Ref("incident", "9"),)))
    assert proved().found == 0
    attack(database, "UPDATE journal SET verb = 'test.other' WHERE id IN (SELECT entry FROM journal_pending)")
    assert kinds(proved()) == {"column"}
    attack_again = "DELETE FROM journal WHERE id IN (SELECT entry FROM journal_pending)"
    with db.engine().begin() as connection:
        connection.execute(text(attack_again))
    assert "missing" in kinds(proved())


ATTACKS: dict[str, tuple[list[str], set[str], str]] = {
    # what is done → the statements (leaf 5 is the victim), what is found, a word of what is told
    "a body": (["UPDATE journal SET body = replace(CAST(body AS TEXT), '\"n\"\\:5', '\"n\"\\:6') WHERE id = :five"], {"body"}, "not the text"),
    "a column": (["UPDATE journal SET actor_id = 'somebody' WHERE id = :five"], {"column"}, "actor_id says somebody"),
    "a time": (["UPDATE journal SET at = :then WHERE id = :five"], {"column"}, "column at says"),
    "a deleted entry": (["DELETE FROM journal WHERE id = :five"], {"missing", "reference"}, "deleted"),
    "a deleted leaf": (["DELETE FROM journal_leaves WHERE idx = 5"], {"gap", "root", "never sealed", "reference"}, "5 are missing"),
    "an entry and its leaf": (
        ["DELETE FROM journal WHERE id = :five", "DELETE FROM journal_leaves WHERE idx = 5"],
        {"gap", "root", "reference"}, "entries 4 to 7",
    ),
    "the end": (
        ["DELETE FROM journal WHERE id IN (SELECT entry FROM journal_leaves WHERE idx >= 9)",
         "DELETE FROM journal_refs WHERE entry IN (SELECT entry FROM journal_leaves WHERE idx >= 9)",
         "DELETE FROM journal_leaves WHERE idx >= 9"],
        {"root"}, "entries 8 to 10",
    ),
    "swapped leaves": (
        ["UPDATE journal_leaves SET idx = -1 WHERE idx = 5", "UPDATE journal_leaves SET idx = 5 WHERE idx = 6",
         "UPDATE journal_leaves SET idx = 6 WHERE idx = -1"],
        {"root"}, "changed places",
    ),
    "swapped entries": (
        ["UPDATE journal_leaves SET entry = :free WHERE idx = 5", "UPDATE journal_leaves SET entry = :five WHERE idx = 6",
         "UPDATE journal_leaves SET entry = :six WHERE idx = 5"],
        {"body"}, "not the text",
    ),
    "erasable data": (["UPDATE journal_data SET data = salt WHERE entry = :five"], {"data"}, "erasable part"),
    "a lost reference": (["DELETE FROM journal_refs WHERE entry = :five AND kind = 'alert'"], {"reference"}, "about alert a, and the index no longer"),
    "an invented reference": (["INSERT INTO journal_refs (kind, ref_id, entry) VALUES ('user', 'eve', :five)"], {"reference"}, "about user eve; the entry does not"),
    "an entry put in": (
        ["INSERT INTO journal (id, at, actor_kind, actor_id, verb, body) VALUES (:free, :then, 'person', 'eve', 'test.done', :none)"],
        {"never sealed"}, "put in",
    ),
    "a lost checkpoint signature": (
        ["UPDATE journal_checkpoints SET note = replace(note, 'tocsin.test', 'tocsin.best') WHERE size = 8"],
        {"forged checkpoint"}, "altered or forged",
    ),
    "an unreadable checkpoint": (["UPDATE journal_checkpoints SET note = 'x' WHERE size = 8"], {"unreadable checkpoint"}, "cannot be read"),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_what_is_altered_is_found_and_named(database: Database, name: str) -> None:
    sealed(11)
    statements, found, words = ATTACKS[name]
    postgres = database.kind == "postgresql"
    if name == "a body" and postgres:
        statements = [
            "UPDATE journal SET body = convert_to(replace(convert_from(body, 'UTF8'), '\"n\"\\:5', '\"n\"\\:6'), 'UTF8') WHERE id = :five"
        ]
    free = "01999999-0000-7000-8000-000000000009"
    values = {
        "five": entry_at(5), "six": entry_at(6), "free": free if postgres else free.replace("-", ""), "none": b"{}",
        "then": datetime(2020, 1, 1, tzinfo=UTC) if postgres else 0,
    }  # fmt: skip
    used = {key: value for key, value in values.items() if any(f":{key}" in one for one in statements)}
    attack_each(database, statements, used)
    proof = proved()
    assert kinds(proof) == found
    told = " ".join(f"{one.where} {one.message}" for one in proof.problems)
    assert words in told
    assert "does NOT verify" in auditing.statement(proof)


def rewritten(connection: Connection) -> None:
    """Alter the first entry and its leaf, and make every checkpoint anew with the machine's own key: a perfect forgery."""
    from core.merkle import Tree, leaf_hash

    (body,) = connection.execute(
        text("SELECT body FROM journal WHERE id = (SELECT entry FROM journal_leaves WHERE idx = 0)")
    ).one()
    forged = bytes(body).replace(b'"n":0', b'"n":7')
    connection.execute(
        text("UPDATE journal SET body = :body WHERE id = (SELECT entry FROM journal_leaves WHERE idx = 0)"),
        {"body": forged},
    )
    connection.execute(
        text("UPDATE journal_leaves SET hash = :hash WHERE idx = 0"), {"hash": leaf_hash(forged)}
    )
    hashes = [
        bytes(row[0]) for row in connection.execute(text("SELECT hash FROM journal_leaves ORDER BY idx"))
    ]
    for (size,) in connection.execute(text("SELECT size FROM journal_checkpoints ORDER BY size")).all():
        tree = Tree()
        tree.extend(hashes[:size])
        made = checkpoints.sign(signing.private_key(), signing.origin(), size, tree.root(), datetime.now(UTC))
        connection.execute(
            text("UPDATE journal_checkpoints SET note = :note, state = :state WHERE size = :size"),
            {"note": made.note, "state": tree.state, "size": size},
        )


def test_a_perfect_forgery_is_found_only_with_a_checkpoint_kept_elsewhere(database: Database) -> None:
    sealed(11)
    kept = newest()
    assert "unchanged since the checkpoint of" in auditing.statement(proved(kept))
    attack(database)
    with db.engine().begin() as connection:
        rewritten(connection)
    assert proved().found == 0  # honest as this machine, which is not
    proof = proved(kept)
    assert kinds(proof) == {"changed since"}
    assert not proof.kept


def test_an_earlier_checkpoint_is_enough_for_what_came_before_it(database: Database) -> None:
    sealed(6)
    kept = newest()
    sealed(9)
    proof = proved(kept, newest())
    assert [one.size for one in proof.kept] == [6, 15]
    assert not proof.found


def test_a_restored_older_backup_is_told_from_a_checkpoint(database: Database) -> None:
    sealed(6)
    tree_of_more = checkpoints.sign(signing.private_key(), signing.origin(), 50, b"r" * 32, datetime.now(UTC))
    proof = proved(tree_of_more)
    assert kinds(proof) == {"shorter"}
    assert "older backup" in proof.problems[0].message


def test_a_checkpoint_of_a_stranger_proves_nothing(database: Database) -> None:
    sealed(6)
    mine = newest()
    other = checkpoints.sign(Ed25519PrivateKey.generate(), mine.origin, mine.size, mine.root, mine.at)
    assert "foreign checkpoint" in kinds(proved(other))


def test_a_checkpoint_signed_by_a_foreign_key_is_found(database: Database) -> None:
    sealed(6)
    mine, stranger = newest(), Ed25519PrivateKey.generate()
    forged = checkpoints.sign(stranger, mine.origin, mine.size, mine.root, mine.at)
    attack(
        database, "UPDATE journal_checkpoints SET note = :note, public_key = :key WHERE size = 6",
        note=forged.note, key=stranger.public_key().public_bytes_raw(),
    )  # fmt: skip
    assert kinds(proved()) == {"foreign key"}


def test_a_new_key_that_the_journal_tells_of_is_believed_under_the_newest(database: Database) -> None:
    sealed(6)
    former = signing.public_key()
    settings.configure(database.settings.with_(signing_key="YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE="))
    assert kinds(proved()) == {"foreign key"}  # a restored database without its key
    assert auditing.prove_database([former]).found == 0
    sealed(3)
    sealing.seal_everything()
    assert proved().found == 0


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("UPDATE journal SET at = 'noon'", {"column"}),
        ("UPDATE journal SET body = 7", {"body", "unreadable", "reference"}),
        ("UPDATE journal_leaves SET hash = 'x'", {"body", "root"}),
        ("UPDATE journal_data SET salt = 7", {"column"}),
    ],
)
def test_values_of_another_kind_are_found_and_stop_nothing(
    sqlite_database: Database, change: str, found: set[str]
) -> None:
    sealed(3)
    attack(sqlite_database, change)
    assert kinds(proved()) == found


def test_redacting_leaves_the_proof_whole(database: Database) -> None:
    sealed(11)
    with unit_of_work() as uow:
        uow.execute(text("DELETE FROM journal_data"))
    proof = proved()
    assert (proof.found, proof.redacted) == (0, 5)


_SEVERAL = """
import sys
from pathlib import Path
from core import auditing, settings
from core.settings import Settings
url, key, folder = sys.argv[1:]
settings.configure(Settings(data_dir=Path(folder), database_url=url, secret_key=key.encode(), base_url="http://tocsin.test"))
import json
alone, many = (auditing.prove_database(workers=workers, at_a_time=3) for workers in (1, 2))
print(json.dumps([auditing.told(alone), auditing.told(many)]))
"""


def test_several_processes_find_what_one_finds(database: Database, tmp_path: Path) -> None:
    """In a process of its own, for tests have threads, and those do not go well with forking."""

    def asked() -> tuple[dict[str, object], dict[str, object]]:
        arguments = [database.url, database.settings.secret_key.decode(), str(tmp_path)]
        done = subprocess.run(
            [sys.executable, "-c", _SEVERAL, *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        alone, many = json.loads(done.stdout)
        return alone, many

    sealed(11)
    alone, many = asked()
    assert alone == many
    assert alone["verified"]
    values = {"five": entry_at(5), "none": b"x"}
    statements = [
        "UPDATE journal SET body = :none WHERE id = :five", "DELETE FROM journal_leaves WHERE idx = 8",
        "DELETE FROM journal_refs WHERE kind = 'alert' AND entry = :five",
    ]  # fmt: skip
    attack_each(database, statements, values)
    alone, many = asked()
    problems = [sorted(map(str, told.pop("problems"))) for told in (alone, many)]  # type: ignore[call-overload]  # a list
    assert problems[0] == problems[1]
    assert alone == many
    assert {"body", "gap", "root"} <= {word for word in ("body", "gap", "root") if word in str(problems)}


def test_what_is_sealed_while_it_is_proved_does_not_disturb(postgresql_database: Database) -> None:
    sealed(11)
    with one_moment() as session:
        rows_then = auditing.JournalRows(session)
        sealed(5)
        sizes = sum(len(rows) for rows in rows_then.leaves())
        assert (sizes, len(list(rows_then.stamps()))) == (11, 3)


def test_stored_checkpoints_are_as_many_as_were_signed(database: Database) -> None:
    sealed(9)
    with reading() as session:
        assert session.scalars(select(JournalCheckpoint.size).order_by(JournalCheckpoint.size)).all() == [
            4,
            8,
            9,
        ]
