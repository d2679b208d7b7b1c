"""`tocsin audit` says in plain words, and by its exit code, whether the journal is what was recorded."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from running_tocsin import COMMAND
from sqlalchemy import text
from tables_ready import Database

from cli.commands.audit import command
from core import db, sealing, signing
from core.actors import SYSTEM
from core.db import unit_of_work
from core.errors import Invalid, NotFound
from core.journal import Fact, declare, record
from core.types import Ref

DONE = declare("test.done", "did it")


def audit(*arguments: str) -> Result:
    """One command, in this process."""
    return CliRunner().invoke(command, arguments)


def sealed(number: int = 3) -> None:
    """So many entries, sealed."""
    with unit_of_work() as uow:
        for n in range(number):
            record(uow, SYSTEM, Fact(DONE, (Ref("incident", str(n)),), {"n": n}, {"note": "x"}))
    sealing.seal_everything()


def test_it_verifies_keeps_a_checkpoint_and_knows_it_again(database: Database, tmp_path: Path) -> None:
    sealed(5)
    done = audit("verify")
    assert (done.exit_code, "only as honest as this machine" in done.output) == (0, True)
    assert f"Signed by {signing.public_key().text}" in done.output
    kept = tmp_path / "kept.txt"
    shown = audit("checkpoint", "-o", str(kept))
    assert kept.read_text() in shown.output
    sealed(2)
    done = audit("verify", "--checkpoint", str(kept))
    assert (done.exit_code, "unchanged since the checkpoint of" in done.output) == (0, True)
    told = json.loads(audit("verify", "--json", "--checkpoint", str(kept)).output)
    assert (told["verified"], told["entries"], told["waiting"], told["problems"]) == (True, 7, 0, [])
    assert [one["size"] for one in told["unchanged_since"]] == [5]


def test_what_does_not_fit_is_named_and_the_exit_code_is_1(database: Database) -> None:
    sealed(3)
    on = " ON journal" if database.kind == "postgresql" else ""
    with db.engine().begin() as connection:
        connection.execute(text(f"DROP TRIGGER journal_no_update{on}"))
        connection.execute(text("UPDATE journal SET verb = 'test.undone'"))
    done = audit("verify")
    assert done.exit_code == 1
    assert "The journal does NOT verify: 3 things do not fit." in done.output
    assert "The column verb says test.undone and the sealed text says test.done." in done.output
    told = json.loads(audit("verify", "--json").output)
    assert (told["verified"], told["problems_found"], told["problems"][0]["kind"]) == (False, 3, "column")


def test_an_export_is_verified_elsewhere_without_a_database(database: Database, tmp_path: Path) -> None:
    """By a process of its own, in an empty folder, with no setting of ours: nothing is made there."""
    sealed(4)
    file, kept = tmp_path / "journal.ndjson.gz", tmp_path / "kept.txt"
    told = json.loads(audit("export", "-o", str(file), "--json").output)
    assert (told["entries"], told["bytes"]) == (4, file.stat().st_size)
    audit("checkpoint", "-o", str(kept))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = subprocess.run(
        [COMMAND, "audit", "verify", str(file), "--checkpoint", str(kept), "--key", signing.public_key().text, "--json"],
        cwd=elsewhere, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    told = json.loads(done.stdout)
    assert (told["verified"], told["entries"], len(told["unchanged_since"])) == (True, 4, 1)
    assert list(elsewhere.iterdir()) == []


def test_a_file_signed_by_another_key_than_the_one_noted_does_not_verify(
    database: Database, tmp_path: Path
) -> None:
    sealed(4)
    file = tmp_path / "journal.ndjson"
    audit("export", "-o", str(file), "--without-data")
    assert audit("verify", str(file)).exit_code == 0
    example = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
    done = audit("verify", str(file), "--key", example)
    assert (done.exit_code, "which is not the key" in done.output) == (1, True)


def test_mistakes_are_answered_with_what_to_do(database: Database, tmp_path: Path) -> None:
    (tmp_path / "mail.txt").write_text("Dear auditor,")
    assert isinstance(audit("verify", "--checkpoint", str(tmp_path / "mail.txt")).exception, Invalid)
    assert isinstance(audit("verify", "--key", "x").exception, Invalid)
    assert isinstance(audit("verify", str(tmp_path / "mail.txt")).exception, Invalid)
    nothing = audit("checkpoint").exception
    assert isinstance(nothing, NotFound)
    with pytest.raises(NotFound, match="within seconds"):
        raise nothing
