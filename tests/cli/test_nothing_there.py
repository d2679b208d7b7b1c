"""Every command, pointed to an empty directory or to a database that is away, says one sentence and leaves nothing behind."""

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from free_ports import free_port

from cli import waiting
from cli.main import tocsin
from core import db
from core import settings as core_settings

ADDRESS = "ana@example.org"
COMMANDS: dict[str, tuple[str, ...]] = {
    "audit checkpoint": (), "audit export": ("-o", "journal.ndjson"), "audit verify": (),
    "backup": ("night.tocsin",), "beat": (), "changes agree": ("no-id",), "changes list": (), "demo": (), "doctor": (),
    "init": ("--email", ADDRESS, "--password", "a sentence nobody guesses"), "migrate": (),
    "playbooks apply": (), "playbooks check": (), "playbooks schema": (), "playbooks simulate": ("--playbook", "any"),
    "playbooks test": (), "report": ("INC-2026-000001",), "restore": (__file__,), "send": (__file__, "--source", "any", "--token", "any"),
    "serve": (), "source add": ("wazuh",), "source list": (), "source products": (), "source rotate": ("wazuh",), "tail": ("--help",),
    "token create": ("--name", "any"), "user reset-factor": (ADDRESS,), "watch": ("--once",), "web": (), "worker": (),
}  # fmt: skip
"""What each command is given; a new one must be told here what it needs."""

WITHOUT = {
    "playbooks check",
    "playbooks schema",
    "playbooks simulate",
    "playbooks test",
    "source products",
    "tail",
    "demo",
}
"""They need no installation, or have their own."""
MAKES = {"init", "migrate", "serve"}
"""They make a new one in an empty directory."""
SCALED = {"web", "worker", "beat"}


def known(group: click.Group, before: str = "") -> Iterator[str]:
    """The full name of every command below a group."""
    ctx = click.Context(group)
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        if isinstance(command, click.Group):
            yield from known(command, f"{before}{name} ")
        else:
            yield f"{before}{name}"


def files(folder: Path) -> list[str]:
    """Every file and every empty directory below a folder."""
    found = [path for path in folder.rglob("*") if path.is_file() or not any(path.iterdir())]
    return sorted(str(path.relative_to(folder)) for path in found)


def run(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, **env: str) -> Result:
    """One command, with an option after it if it has one, in a folder of its own, as a process that begins there would run it."""
    for variable in [one for one in os.environ if one.startswith("TOCSIN_")]:
        monkeypatch.delenv(variable)
    for variable, value in {
        "TOCSIN_DATA_DIR": str(folder / "data"),
        "TOCSIN_PLAYBOOKS": str(folder / "playbooks.yaml"),
        **env,
    }.items():
        monkeypatch.setenv(variable, value)
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(core_settings, "_current", [])
    db.dispose()
    try:
        return CliRunner().invoke(tocsin, [*name.split(), *COMMANDS[name.split(" --", maxsplit=1)[0]]])
    finally:
        db.dispose()


def sentence(name: str, done: Result) -> str:
    """What a command said as it refused. Fails unless that is one short sentence or two, without a traceback."""
    assert done.exception is None or isinstance(done.exception, SystemExit), (name, done.exception)
    assert done.exit_code == (3 if name == "doctor" else 1), (name, done.exit_code, done.output)
    said = [line for line in done.output.splitlines() if line and not line.startswith("{")]
    assert 1 <= len(said) <= 2, (name, done.output)
    for leaked in ("Traceback", "sqlalche", "SELECT", ADDRESS, "hidden-word"):
        assert leaked not in done.output, (name, done.output)
    return said[0]


def test_every_command_is_told_here_what_it_needs() -> None:
    assert set(known(tocsin)) == COMMANDS.keys()
    assert COMMANDS.keys() >= WITHOUT | MAKES | SCALED


@pytest.mark.parametrize("wrong", ["empty", "not-a-directory"])
def test_in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    for name in COMMANDS.keys() - WITHOUT - MAKES - SCALED:
        folder = tmp_path / name.replace(" ", "-")
        if wrong == "not-a-directory":
            done = run(name, folder, monkeypatch, TOCSIN_DATA_DIR=f"{__file__}/data")
        else:
            done = run(name, folder, monkeypatch)
        said = sentence(name, done)
        if name == "restore":  # it begins with an empty one, and what it was given is no backup
            assert "is not a whole backup" in said
        else:
            assert "There is no installation in /" in said, (name, said)
            assert "TOCSIN_DATA_DIR" in done.output
        assert files(folder) == [], name


def test_what_needs_none_makes_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no file of playbooks either, they say so."""
    replaced: list[str] = []
    monkeypatch.setattr(os, "execv", lambda program, _words: replaced.append(program))
    for name in sorted(WITHOUT | SCALED):
        folder = tmp_path / name.replace(" ", "-")
        done = run(name, folder, monkeypatch)
        if name in {"source products", "playbooks schema", "tail"}:
            assert done.exit_code == 0, done.output
        else:
            wanted = "TOCSIN_REDIS_URL is not set" if name in SCALED else "playbooks.yaml"
            assert wanted in sentence(name, done)
        assert files(folder) == (["data/tail/tocsin_tail.py"] if name == "tail" else []), name
    assert len(replaced) == 1
    check = run("migrate --check", tmp_path / "check", monkeypatch)
    assert check.exit_code == 1
    assert "Would do 0001: The first schema.\nThe database is at (empty)" in check.output
    assert files(tmp_path / "check") == []
    made = run("migrate", tmp_path / "made", monkeypatch)
    assert made.exit_code == 0, "an empty directory is where it begins"


def test_with_a_postgresql_that_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "PATIENCE", timedelta(0))
    away = f"postgresql://tocsin:hidden-word@127.0.0.1:{free_port()}/tocsin"
    for name in COMMANDS.keys() - WITHOUT:
        folder = tmp_path / name.replace(" ", "-")
        redis = {"TOCSIN_REDIS_URL": "redis://127.0.0.1:1/0"} if name in SCALED else {}
        done = run(
            name, folder, monkeypatch, TOCSIN_DATABASE_URL=away, TOCSIN_SECRET_KEY="a key of thirty-two characters, or more",
            **redis,
        )  # fmt: skip
        said = sentence(name, done)
        wanted = ("is not a whole backup",) if name == "restore" else ("refused", "cannot be asked")
        assert any(words in said for words in wanted), (name, said)
        waits = name in SCALED or name == "serve"  # they wait for it, and will serve from their directory
        assert files(folder) == (["data"] if waits else []), name


@pytest.mark.parametrize("name", ["doctor", "init", "migrate", "backup", "watch", "serve"])
def test_an_address_that_is_none_is_not_repeated(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run(
        name, tmp_path / "there", monkeypatch, TOCSIN_DATABASE_URL="postgresql://tocsin:hidden-word@db:five/tocsin",
        TOCSIN_SECRET_KEY="a key of thirty-two characters, or more",
    )  # fmt: skip
    assert "TOCSIN_DATABASE_URL cannot be read" in sentence(name, done)


def test_without_the_key_none_is_made_for_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second key would seal what the service could never open."""
    there = tmp_path / "data"
    made = run(
        "migrate", tmp_path / "one", monkeypatch, TOCSIN_DATA_DIR=str(there), TOCSIN_SECRET_KEY="k" * 40
    )
    assert made.exit_code == 0, made.output
    done = run("source add", tmp_path / "two", monkeypatch, TOCSIN_DATA_DIR=str(there))
    assert "There is no secret key" in sentence("source add", done)
    assert not (there / "secret.key").exists()


def test_a_backup_that_cannot_be_restored_here_makes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is whole; what is wrong is the key or the database."""
    key = "k" * 40
    there = tmp_path / "data"
    for name in ("migrate", "backup"):
        done = run(name, tmp_path / name, monkeypatch, TOCSIN_DATA_DIR=str(there), TOCSIN_SECRET_KEY=key)
        assert done.exit_code == 0, done.output
    file = str(tmp_path / "backup" / "night.tocsin")
    monkeypatch.setitem(COMMANDS, "restore", (file,))
    for number, (env, wanted) in enumerate(
        (
            ({}, "another secret key"),
            ({"TOCSIN_SECRET_KEY": "another key of thirty-two characters"}, "another secret key"),
            (
                {
                    "TOCSIN_SECRET_KEY": key,
                    "TOCSIN_DATABASE_URL": f"postgresql://tocsin@127.0.0.1:{free_port()}/tocsin",
                },
                "cannot be reached",
            ),
            (
                {"TOCSIN_SECRET_KEY": key, "TOCSIN_DATABASE_URL": "mysql://tocsin@127.0.0.1/tocsin"},
                "TOCSIN_DATABASE_URL",
            ),
        )
    ):
        folder = tmp_path / f"restored-{number}"
        assert wanted in sentence("restore", run("restore", folder, monkeypatch, **env))
        assert files(folder) == [], wanted
