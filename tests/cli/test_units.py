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
import system_units
import yaml
from tables_ready import ROOT

from cli import assemble
from connectors.execute import MOST_SECONDS
from core import stopping, supervisor, work
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
    assert service["LoadCredential"].startswith("secret_key:")
    assert "TOCSIN_SECRET_KEY_FILE=%d/secret_key" in service["Environment"]
    assert service["ExecStart"].split() == ["/opt/tocsin/.venv/bin/tocsin", "serve"]
    assert "backup" in unit("tocsin-backup.service")["Service"]["ExecStart"]
    assert unit("tocsin-backup.timer")["Timer"]["Persistent"] == "yes"


def test_everybody_waits_as_long_as_a_stop_may_take() -> None:
    """Program, compose, units and documentation say the same numbers."""
    assemble.load()
    kinds = work.kinds()
    assert max(kind.ends_within for kind in kinds.values()) == stopping.CALLS
    assert MOST_SECONDS == stopping.EXCHANGE < stopping.CALLS.total_seconds()
    for name in ("connectors.calls", "connectors.countermeasures"):
        assert kinds[name].ends_within == stopping.CALLS, "an exchange under way is waited for"
    assert stopping.LONGEST < stopping.GRACE, "nobody is killed while it still stops in order"
    grace = f"{stopping.GRACE.total_seconds():.0f}"
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    ours = {
        name: one["stop_grace_period"]
        for name, one in compose["services"].items()
        if one["image"].startswith("tocsin:")
    }
    assert ours == dict.fromkeys(("migrate", "web", "worker", "mail", "watch", "beat"), f"{grace}s")
    assert unit("tocsin.service")["Service"]["TimeoutStopSec"] == grace
    told = " ".join((ROOT / "docs" / "operate.md").read_text(encoding="utf-8").split())
    assert f"docker stop -t {grace}" in told
    assert f"at most {stopping.CALLS.total_seconds():.0f} seconds" in told


def test_its_settings_are_settings_and_hold_no_secret(tmp_path: Path) -> None:
    text = (UNITS / "tocsin.env").read_text(encoding="utf-8")
    env = dict(line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#"))
    given = Settings.load({**env, "TOCSIN_DATA_DIR": str(tmp_path)})
    assert (given.host, given.port, given.tls_generated) == ("0.0.0.0", 443, True)
    known = (ROOT / "docs" / "operate.md").read_text(encoding="utf-8")
    for name in re.findall(r"TOCSIN_\w+(?==)", text):
        assert f"`{name}`" in known, name
        assert not name.endswith(("KEY", "PASSWORD"))


def test_they_say_nothing_that_systemd_does_not_know_and_systemd_itself_agrees_where_it_is(
    tmp_path: Path,
) -> None:
    """The words are compared with our own list everywhere; only what `systemd-analyze verify` adds needs systemd."""
    for name in NAMES:
        text = (UNITS / name).read_text(encoding="utf-8")
        assert text.startswith("# "), f"{name} does not say what it is for"
        assert system_units.read(text)
        with pytest.raises(AssertionError, match="ProtectHomes"):
            system_units.read(
                text.replace("[Service]", "[Service]\nProtectHomes=yes") + "\n[Unit]\nProtectHomes=yes"
            )
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


def program(path: Path, *lines: str) -> None:
    """A small shell script that can be started."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(("#!/bin/sh", *lines, "")), encoding="utf-8")
    path.chmod(0o755)


def test_an_installation_that_was_killed_is_cleared_away_by_the_next(tmp_path: Path) -> None:
    """What `.venv` points to and what somebody is making just now stay."""
    script = tmp_path / "install.sh"
    text = (ROOT / "bundle" / "install.sh").read_text(encoding="utf-8")
    script.write_text(text.replace("@PYTHON@", "3").replace("@COMMA@", "3, 11"), encoding="utf-8")
    program(tmp_path / "killer", 'if [ "$1" = -m ]; then mkdir "$4"; kill -9 $PPID; fi')
    asked, env = ["sh", str(script)], {"PATH": os.environ["PATH"], "PYTHON": str(tmp_path / "killer")}
    killed = subprocess.run(asked, env=env, check=False)
    (left,) = tmp_path.glob(".venv.*")
    assert killed.returncode == -9
    assert left.is_dir()
    alive, dead_link = tmp_path / f".venv.{os.getpid()}", tmp_path / f"{left.name}.link"
    alive.mkdir()
    dead_link.symlink_to("nowhere")
    program(tmp_path / ".venv.0000" / "bin" / "python")
    program(tmp_path / ".venv.0000" / "bin" / "tocsin", "echo it runs")
    (tmp_path / ".venv.0000" / "made-in").write_text(f"{tmp_path.resolve()}\n", encoding="utf-8")
    (tmp_path / ".venv").symlink_to(".venv.0000")
    again = subprocess.run([*asked, "serve"], env=env, capture_output=True, text=True, check=True)
    assert again.stdout == "it runs\n"
    assert sorted(one.name for one in tmp_path.glob(".venv*")) == sorted([".venv", ".venv.0000", alive.name])


def test_what_the_tests_miss_is_named_and_stops_them(tmp_path: Path) -> None:
    asked = ["/bin/sh", str(ROOT / "tests" / "support" / "packages.sh")]
    program(tmp_path / "id", "echo 1000")
    for name in ("slapd", "dovecot"):
        program(tmp_path / name)
    missing = subprocess.run(asked, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert missing.returncode == 1
    assert "not here: chromium\n" in missing.stderr
    program(tmp_path / "chromium")
    assert subprocess.run(asked, env={"PATH": str(tmp_path)}, check=False).returncode == 0


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
