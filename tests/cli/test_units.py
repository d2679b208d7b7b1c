"""The unit files for systemd: systemd itself accepts them where it is here, and they grant no more than they say."""

import configparser
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tables_ready import ROOT

from cli import assemble
from connectors.execute import MOST_SECONDS
from core import supervisor, work
from core.settings import Settings

UNITS = ROOT / "docs" / "systemd"
NAMES = ("tocsin.service", "tocsin-backup.service", "tocsin-backup.timer")


class Several(dict[str, str]):
    """A section in which a word may stand more than once: the lines are joined."""

    def __setitem__(self, key: str, value: str) -> None:
        joined = [*super().get(key, []), *value] if isinstance(value, list) else value
        super().__setitem__(key, joined)  # type: ignore[assignment]  # configparser hands over lists of lines


def unit(name: str) -> configparser.ConfigParser:
    """One unit file, read as INI."""
    read = configparser.RawConfigParser(
        strict=False, dict_type=Several, comment_prefixes=("#",), delimiters=("=",)
    )
    read.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's words have capitals
    read.read(UNITS / name, encoding="utf-8")
    return read


def test_the_service_is_hardened_kept_alive_and_gets_its_key_as_a_credential() -> None:
    service = unit("tocsin.service")["Service"]
    for word, value in {
        "Type": "notify", "User": "tocsin", "Restart": "always", "ProtectSystem": "strict", "StateDirectory": "tocsin",
        "NoNewPrivileges": "yes", "ProtectHome": "yes", "PrivateTmp": "yes", "CapabilityBoundingSet": "CAP_NET_BIND_SERVICE",
    }.items():  # fmt: skip
        assert service[word] == value, word
    assemble.load()
    longest = max(kind.ends_within.total_seconds() for kind in work.kinds().values())
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    assert longest >= MOST_SECONDS, "a call under way is waited for"
    assert int(service["TimeoutStopSec"]) > longest + 2
    assert int(compose["services"]["worker"]["stop_grace_period"].removesuffix("s")) > longest + 2
    assert service["LoadCredential"].startswith("secret_key:")
    assert "TOCSIN_SECRET_KEY_FILE=%d/secret_key" in service["Environment"]
    assert service["ExecStart"].split() == ["/opt/tocsin/.venv/bin/tocsin", "serve"]
    assert "backup" in unit("tocsin-backup.service")["Service"]["ExecStart"]
    assert unit("tocsin-backup.timer")["Timer"]["Persistent"] == "yes"


def test_its_settings_are_settings_and_hold_no_secret(tmp_path: Path) -> None:
    text = (UNITS / "tocsin.env").read_text(encoding="utf-8")
    env = dict(line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#"))
    given = Settings.load({**env, "TOCSIN_DATA_DIR": str(tmp_path)})
    assert (given.host, given.port, given.tls_generated) == ("0.0.0.0", 443, True)
    known = (ROOT / "docs" / "operate.md").read_text(encoding="utf-8")
    for name in re.findall(r"TOCSIN_\w+(?==)", text):
        assert f"`{name}`" in known, name
        assert not name.endswith(("KEY", "PASSWORD"))


def test_systemd_accepts_them(tmp_path: Path) -> None:
    for name in NAMES:
        text = (UNITS / name).read_text(encoding="utf-8")
        assert text.startswith("# "), f"{name} does not say what it is for"
        (tmp_path / name).write_text(text.replace("/opt/tocsin", str(ROOT)), encoding="utf-8")
    if analyze := shutil.which("systemd-analyze"):
        asked = [analyze, "verify", *(f"./{name}" for name in NAMES)]
        done = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr.strip()) == (0, "")


def test_service_backup_and_command_read_the_same_files() -> None:
    command = (UNITS / "tocsin").read_text(encoding="utf-8")
    for name in ("tocsin.service", "tocsin-backup.service"):
        service = unit(name)["Service"]
        assert service["EnvironmentFile"].splitlines() == [
            "/etc/tocsin/tocsin.env",
            "-/etc/tocsin/secrets.env",
        ], name
        assert service["LoadCredential"] == "secret_key:/etc/tocsin/secret_key", name
    for path in ("/etc/tocsin/tocsin.env", "/etc/tocsin/secrets.env", "/etc/tocsin/secret_key"):
        assert f'"{path}"' in command


def test_the_shell_script_is_one() -> None:
    script = ROOT / "bundle" / "install.sh"
    assert os.access(script, os.X_OK)
    assert subprocess.run(["sh", "-n", str(script)], check=False).returncode == 0


FILE = """
# A comment; with \\
another line
; a second one
TOCSIN_SMTP_FROM=Tocsin <tocsin@example.org>  \t
TOCSIN_WITNESS = https://example.org/keep?a=1&b=$(id)`id`#2
TOCSIN_QUOTED="two words" \'and more\'
TOCSIN_SINGLE=\'no \\ escape $HOME\'
TOCSIN_DOUBLE="a \\"b\\" \\$HOME \\n"
TOCSIN_LONG=one,\\
two
TOCSIN_BACKSLASH=a\\ b\\\\c
TOCSIN_EMPTY=
no assignment
TOCSIN_LAST=end"""
TAKEN = {
    "TOCSIN_SMTP_FROM": "Tocsin <tocsin@example.org>", "TOCSIN_WITNESS": "https://example.org/keep?a=1&b=$(id)`id`#2",
    "TOCSIN_QUOTED": "two wordsand more", "TOCSIN_SINGLE": "no \\ escape $HOME", "TOCSIN_DOUBLE": 'a "b" $HOME \\n',
    "TOCSIN_LONG": "one,two", "TOCSIN_BACKSLASH": "a b\\c", "TOCSIN_EMPTY": "", "TOCSIN_LAST": "end",
}  # fmt: skip
"""What systemd itself takes from it, as its env-file parser is written."""


def installed(folder: Path, secrets: str) -> list[str]:
    """The command as root would have copied it, but for its places; what it would run prints what it was given."""
    etc = folder / "etc"
    etc.mkdir()
    (etc / "tocsin.env").write_text(FILE, encoding="utf-8")
    if secrets:
        (etc / "secrets.env").write_text(secrets, encoding="utf-8")
    (etc / "secret_key").write_text("the key of thirty-two characters\n", encoding="utf-8")
    program = folder / "program"
    program.write_text(
        f"#!{sys.executable}\nimport json, os, sys\nprint(json.dumps([sys.argv[1:], dict(os.environ)]))\n",
        encoding="utf-8",
    )
    (folder / "bin").mkdir()
    runuser = folder / "bin" / "runuser"
    runuser.write_text(
        '#!/bin/sh\n[ "$1 $2 $3" = "-u tocsin --" ] && shift 3 && exec "$@"\n', encoding="utf-8"
    )
    text = (UNITS / "tocsin").read_text(encoding="utf-8").replace("/etc/tocsin", str(etc))
    command = folder / "tocsin"
    command.write_text(text.replace("/opt/tocsin/.venv/bin/tocsin", str(program)), encoding="utf-8")
    for one in (program, runuser, command):
        one.chmod(0o755)
    assert os.access(UNITS / "tocsin", os.X_OK)
    return [str(command)]


def test_the_command_reads_settings_as_systemd_does_and_evaluates_nothing(tmp_path: Path) -> None:
    command = installed(tmp_path, "TOCSIN_DATABASE_PASSWORD=a&b c$d'e\n")
    env = {
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "TOCSIN_HOST": "a caller's own",
        "LANG": "C.UTF-8",
    }
    done = subprocess.run(
        [*command, "backup", "a file"], env=env, capture_output=True, text=True, check=True, timeout=60
    )
    words, given = json.loads(done.stdout)
    assert words == ["backup", "a file"]
    assert {name: value for name, value in given.items() if name.startswith("TOCSIN_")} == {
        **TAKEN, "TOCSIN_DATA_DIR": "/var/lib/tocsin", "TOCSIN_SECRET_KEY": "the key of thirty-two characters",
        "TOCSIN_DATABASE_PASSWORD": "a&b c$d'e",
    }  # fmt: skip
    (tmp_path / "etc" / "secret_key").unlink()
    refused = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert (refused.returncode, "docs/operate.md" in refused.stderr, refused.stderr.count("\n")) == (
        1,
        True,
        1,
    )


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told_when_it_is_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abstract: bool
) -> None:
    address = f"@tocsin-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(address.replace("@", "\0") if abstract else address)
        heard.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        supervisor.tell("READY=1")
        assert heard.recv(100) == b"READY=1"
    supervisor.tell("STOPPING=1")  # nobody listens any more: nothing happens
    monkeypatch.delenv("NOTIFY_SOCKET")
    supervisor.tell("READY=1")
