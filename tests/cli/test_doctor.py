"""`tocsin doctor` says its findings to people and programs, and its exit status is that of the worst."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.commands import doctor as command
from core.errors import Unavailable
from core.settings import settings
from reports import doctor
from reports.doctor import Finding, Light, Shown, State

Ask = Callable[..., tuple[int, str]]


@pytest.fixture
def ask(sqlite_database: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Runs the command over lights of these states; returns its exit status and output."""
    del sqlite_database, tmp_path
    monkeypatch.setattr(command.serving, "prepare_existing", settings)

    def run(*states: State, **options: bool) -> tuple[int, str]:
        found = [
            Shown(
                Light(f"l{number}", f"Light {number}", number, lambda _: Finding(State.green, "")),
                Finding(state, "It is so.", "" if state is State.green else "Mend it.", command="do this"),
            )
            for number, state in enumerate(states)
        ]
        monkeypatch.setattr(doctor, "examine", lambda _session: found)
        done = CliRunner().invoke(command.command, ["--json"] if options.get("as_json") else [])
        return done.exit_code, done.output

    return run


@pytest.mark.parametrize(
    ("states", "status"),
    [
        ((State.green, State.green), 0),
        ((State.green, State.yellow), 1),
        ((State.red, State.yellow, State.green), 2),
    ],
)
def test_the_exit_status_is_that_of_the_worst(ask: Ask, states: tuple[State, ...], status: int) -> None:
    assert ask(*states)[0] == status
    code, output = ask(*states, as_json=True)
    told = json.loads(output)
    assert (code, told["worst"]) == (status, [*State][status].value)
    assert [one["state"] for one in told["items"]] == [state.value for state in states]


def test_what_is_not_green_has_its_remedy_on_a_line_of_its_own(ask: Ask) -> None:
    lines = ask(State.green, State.red)[1].splitlines()
    assert [line.split() for line in lines] == [
        ["✔", "green", "Light", "0:", "It", "is", "so."],
        ["✘", "red", "Light", "1:", "It", "is", "so."],
        ["Mend", "it.", "do", "this"],
    ]


def test_what_could_not_be_looked_at_is_no_colour(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(State.green)

    def gone(_session: object) -> list[Shown]:
        raise Unavailable("The database cannot be reached.")

    monkeypatch.setattr(doctor, "examine", gone)
    done = CliRunner().invoke(command.command, [])
    assert (done.exit_code, done.stdout) == (command.CANNOT_ASK, "")
    assert "cannot be reached" in done.stderr
