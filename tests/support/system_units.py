"""Whether systemd would take a unit file: asked of systemd itself where it is here, and read strictly everywhere."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

SECTIONS = {
    "Unit": {"Description", "After", "Wants"},
    "Service": {
        "EnvironmentFile", "ExecStart", "Restart", "RestartSec", "StateDirectory", "StateDirectoryMode", "UMask", "DynamicUser",
        "SupplementaryGroups", "AmbientCapabilities", "CapabilityBoundingSet", "MemoryMax", "NoNewPrivileges", "ProtectSystem",
        "ProtectHome", "PrivateTmp", "PrivateDevices", "ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs",
        "ProtectControlGroups", "ProtectClock", "ProtectHostname", "LockPersonality", "MemoryDenyWriteExecute",
        "RestrictRealtime", "RestrictSUIDSGID", "RestrictNamespaces", "RestrictAddressFamilies", "SystemCallArchitectures",
        "SystemCallFilter",
    },
    "Install": {"WantedBy"},
}  # fmt: skip
"""What the tail's unit may say: systemd only warns of a word that it does not know, and a hardening misspelled is none."""


def command_of(unit: str, folder: Path) -> list[str]:
    """The command that a unit starts, once the unit has been found right. Fails with what is wrong."""
    section, commands = "", []
    for line in unit.splitlines():
        if not line or line.startswith("#"):
            continue
        if head := re.fullmatch(r"\[(\w+)\]", line):
            section = head[1]
            assert section in SECTIONS, line
            continue
        word, sign, value = line.partition("=")
        assert (sign, word in SECTIONS[section]) == ("=", True), f"[{section}] {line}"
        if word == "ExecStart":
            commands.append(shlex.split(value.replace("%%", "%")))
    (command,) = commands
    assert Path(command[0]).is_absolute()
    if analyze := shutil.which("systemd-analyze"):
        (folder / "tocsin-tail-checked.service").write_text(unit, encoding="utf-8")
        asked = [analyze, "verify", "./tocsin-tail-checked.service"]
        done = subprocess.run(asked, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
        assert (done.returncode, done.stderr.strip()) == (0, ""), done.stderr
    return command
