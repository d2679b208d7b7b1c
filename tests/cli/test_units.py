"""The unit files for systemd: systemd itself accepts them where it is here, and they grant no more than they say."""

import configparser
import os
import re
import shutil
import socket
import subprocess
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


def test_the_shell_script_is_one(tmp_path: Path) -> None:
    del tmp_path
    for script in (UNITS / "tocsin", ROOT / "bundle" / "install.sh"):
        assert os.access(script, os.X_OK)
        assert subprocess.run(["sh", "-n", str(script)], check=False).returncode == 0


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told_when_it_is_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abstract: bool
) -> None:
    address = f"@tocsin-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(address.replace("@", "\0") if abstract else address)
        heard.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        supervisor.tell("READY=1")
        assert heard.recv(100) == b"READY=1"
    supervisor.tell("STOPPING=1")  # nobody listens any more: nothing happens
    monkeypatch.delenv("NOTIFY_SOCKET")
    supervisor.tell("READY=1")
