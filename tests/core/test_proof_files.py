"""An exported journal proves itself, and whoever edits the file is found."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sealed_journal import kinds, newest, sealed
from tables_ready import Database

from core import auditing, db
from core.db import one_moment
from core.errors import Invalid


def exported(path: Path, *, data: bool = True) -> Path:
    """The journal in a file."""
    with one_moment() as session:
        assert auditing.export(session, path, data=data) > 0
    return path


@pytest.mark.parametrize("name", ["journal.ndjson", "journal.ndjson.gz"])
def test_an_exported_journal_proves_itself(database: Database, tmp_path: Path, name: str) -> None:
    sealed(11)
    kept = newest()
    file = exported(tmp_path / name)
    db.dispose()
    proof = auditing.prove_file(file, given=[kept])
    assert (proof.found, proof.entries, proof.stamps, proof.redacted) == (0, 11, 3, 0)
    assert proof.kept == [kept]
    assert proof.tree.root() == kept.root


def test_an_export_without_data_still_proves_every_entry(database: Database, tmp_path: Path) -> None:
    sealed(11)
    file = exported(tmp_path / "journal", data=False)
    assert "ü" not in file.read_text()
    proof = auditing.prove_file(file)
    assert (proof.found, proof.redacted) == (0, 5)


EDITS: dict[str, tuple[Callable[[list[str]], list[str]], set[str]]] = {
    "a body": (lambda lines: [line.replace('\\"n\\":5', '\\"n\\":6') for line in lines], {"body"}),
    "data": (lambda lines: [line.replace("ü5", "ü6") for line in lines], {"data"}),
    "a line taken out": (lambda lines: lines[:4] + lines[5:], {"gap", "root", "cut off"}),
    "the end taken off": (lambda lines: lines[:-3], {"cut off"}),
    "two lines changed over": (lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]], {"gap", "root"}),
    "a checkpoint": (lambda lines: [line.replace("tocsin.test/journal\\n11", "tocsin.test/journal\\n12") for line in lines], {"forged checkpoint"}),
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_file_is_found_out(sqlite_database: Database, tmp_path: Path, name: str) -> None:
    sealed(11)
    file = exported(tmp_path / "journal.ndjson")
    edit, found = EDITS[name]
    lines = file.read_text().splitlines(keepends=True)
    changed = edit(lines)
    assert changed != lines
    file.write_text("".join(changed))
    assert kinds(auditing.prove_file(file)) == found


def test_what_is_no_export_is_refused_with_a_sentence(sqlite_database: Database, tmp_path: Path) -> None:
    sealed(3)
    file = exported(tmp_path / "journal.ndjson")
    head = json.loads(file.read_text().splitlines()[0])
    (tmp_path / "other").write_text(json.dumps({**head, "key": "x"}) + "\n")
    with pytest.raises(Invalid, match="a letter of it is wrong"):
        auditing.prove_file(tmp_path / "other")
    for content in (b"", b"hello\n", gzip.compress(b"hello")):
        (tmp_path / "none").write_bytes(content)
        with pytest.raises(Invalid, match="is not a journal"):
            auditing.prove_file(tmp_path / "none")
    (tmp_path / "later").write_text(json.dumps({**head, "format": "tocsin journal 9"}) + "\n")
    with pytest.raises(Invalid, match="this version reads"):
        auditing.prove_file(tmp_path / "later")
    file.write_text(file.read_text() + "{\n")
    with pytest.raises(Invalid, match=r"journal.ndjson:\d+: this line cannot be read"):
        auditing.prove_file(file)
