"""What a command prints does not command the terminal."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.main import tocsin
from cli.saying import echo

HOSTILE = "\x1b]0;owned\x07\x1b[2Jgone\u202e\x9b5m\rover"


@pytest.mark.parametrize("err", [False, True])
def test_what_a_terminal_would_obey_is_shown(capfd: pytest.CaptureFixture[str], err: bool) -> None:
    echo(f"a\tb\n{HOSTILE} – ñ 😀", err=err)
    said = "".join(capfd.readouterr())
    assert said.startswith("a\tb\n[U+001B]]0;owned[U+0007][U+001B][2Jgone[U+202E][U+009B]5m[U+000D]over – ñ 😀")


def test_a_file_from_elsewhere_cannot_clear_the_screen(tmp_path: Path) -> None:
    file = tmp_path / "playbooks.yaml"
    file.write_text('version: 1\nplaybooks:\n  "\\e[2Jgone":\n    name: "\\e]0;owned\\a"\n    stepz: []\n')
    said = CliRunner().invoke(tocsin, ["playbooks", "check", str(file)]).output
    assert "[U+001B]" in said
    assert not {"\x1b", "\x07"} & set(said)
