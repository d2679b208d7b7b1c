"""Whether systemd would take a unit file: asked of systemd itself where it is here, and read strictly everywhere."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

SECTIONS = {
    "Unit": {"Description", "Documentation", "After", "Wants"},
    "Service": {
        "Type", "User", "WorkingDirectory", "Environment", "LoadCredential", "ExecStartPost", "ExecReload", "TimeoutStartSec",
        "TimeoutStopSec", "KillMode", "LimitNOFILE", "Nice", "ProtectProc", "RemoveIPC", "SystemCallErrorNumber",
        "EnvironmentFile", "ExecStart", "Restart", "RestartSec", "StateDirectory", "StateDirectoryMode", "UMask", "DynamicUser",
        "SupplementaryGroups", "AmbientCapabilities", "CapabilityBoundingSet", "MemoryMax", "NoNewPrivileges", "ProtectSystem",
        "ProtectHome", "PrivateTmp", "PrivateDevices", "ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs",
        "ProtectControlGroups", "ProtectClock", "ProtectHostname", "LockPersonality", "MemoryDenyWriteExecute",
        "RestrictRealtime", "RestrictSUIDSGID", "RestrictNamespaces", "RestrictAddressFamilies", "SystemCallArchitectures",
        "SystemCallFilter",
    },
    "Timer": {"OnCalendar", "RandomizedDelaySec", "Persistent"},
    "Install": {"WantedBy"},
}  # fmt: skip
"""What our units may say: systemd only warns of a word that it does not know, and a hardening misspelled is none."""


def read(unit: str) -> list[tuple[str, str, str]]:
    """Section, word and value of each line of a unit. Fails with the line that has a word which systemd does not know there."""
    section, found = "", []
    for line in unit.splitlines():
        if not line or line.startswith("#"):
            continue
        if head := re.fullmatch(r"\[(\w+)\]", line):
            section = head[1]
            assert section in SECTIONS, line
            continue
        word, sign, value = line.partition("=")
        assert (sign, word in SECTIONS[section]) == ("=", True), f"[{section}] {line}"
        found.append((section, word, value))
    return found


def command_of(unit: str, folder: Path) -> list[str]:
    """The command that a unit starts, once the unit has been found right. Fails with what is wrong."""
    started = [value for section, word, value in read(unit) if (section, word) == ("Service", "ExecStart")]
    (command,) = [shlex.split(value.replace("%%", "%")) for value in started]
    assert Path(command[0]).is_absolute()
    if analyze := shutil.which("systemd-analyze"):
        (folder / "tocsin-tail-checked.service").write_text(unit, encoding="utf-8")
        asked = [analyze, "verify", "./tocsin-tail-checked.service"]
        done = subprocess.run(asked, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
        assert (done.returncode, done.stderr.strip()) == (0, ""), done.stderr
    return command
