"""The tail as a service of systemd, with no more rights than reading needs."""

import argparse
import os
import re
import shlex
import stat
import subprocess
import sys
from typing import List
from urllib.parse import urlsplit


UNIT = """# Made by tocsin_tail.py --install; made anew when that is run again.
[Unit]
Description=Tocsin tail: {files} to {url}
After=network-online.target
Wants=network-online.target

[Service]
EnvironmentFile={env}
ExecStart={command}
Restart=always
RestartSec=5
StateDirectory=tocsin-tail
StateDirectoryMode=0700
UMask=0077
{who}
MemoryMax=256M
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictNamespaces=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@resources

[Install]
WantedBy=multi-user.target
"""
PROGRAM = "/usr/local/lib/tocsin-tail/tocsin_tail.py"


def readers(paths: List[str]) -> str:
    """As whom the service reads: with the files' own groups where these may, else with the right to read every file."""
    groups = set()
    for path in paths:
        try:
            found = os.stat(path)
        except OSError:
            groups.add(0)
            continue
        if not found.st_mode & stat.S_IROTH:
            groups.add(found.st_gid if found.st_mode & stat.S_IRGRP else 0)
        folder = os.path.dirname(os.path.abspath(path))
        while folder != "/":
            found = os.stat(folder)
            if not found.st_mode & stat.S_IXOTH:
                groups.add(found.st_gid if found.st_mode & stat.S_IXGRP else 0)
            folder = os.path.dirname(folder)
    if 0 in groups:
        return "DynamicUser=yes\nAmbientCapabilities=CAP_DAC_READ_SEARCH\nCapabilityBoundingSet=CAP_DAC_READ_SEARCH"
    listed = "\nSupplementaryGroups=" + " ".join(str(group) for group in sorted(groups)) if groups else ""
    return "DynamicUser=yes{}\nCapabilityBoundingSet=".format(listed)


def unit(options: argparse.Namespace, paths: List[str]) -> str:
    """The systemd unit that runs what was asked for."""
    words = [sys.executable or "/usr/bin/python3", PROGRAM, "--url", options.url]
    for name in ("ca", "pin", "since"):
        if getattr(options, name):
            words += ["--" + name, os.path.abspath(options.ca) if name == "ca" else getattr(options, name)]
    for condition in options.filter or ():
        words += ["--filter", condition]
    words += ["--no-filter"] if options.no_filter else []
    command = " ".join(
        shlex.quote(word).replace("%", "%%") for word in words + [os.path.abspath(path) for path in paths]
    )
    return UNIT.format(
        files=", ".join(os.path.basename(path) for path in paths), url=options.url, command=command,
        env="/etc/tocsin-tail/{}.env".format(source_name(options.url)), who=readers(paths),
    )  # fmt: skip


def install(options: argparse.Namespace, paths: List[str], secret: str, program: str, root: str = "/") -> str:
    """Copy the program, keep the secret where only root reads it, write the unit, enable and start it. Returns its name."""
    name = "tocsin-tail-" + source_name(options.url)

    def put(path: str, text: str, mode: int) -> None:
        place = os.path.join(root, path.lstrip("/"))
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)

    with open(program) as file:
        put(PROGRAM, file.read(), 0o755)
    put(
        "/etc/tocsin-tail/{}.env".format(source_name(options.url)), "TOCSIN_SECRET={}\n".format(secret), 0o600
    )
    put("/etc/systemd/system/{}.service".format(name), unit(options, paths), 0o644)
    for words in (["daemon-reload"], ["enable", name], ["restart", name]):
        subprocess.check_call(["systemctl"] + words)
    return name


def source_name(url: str) -> str:
    """The source in its address: https://…/ingest/suricata → suricata."""
    name = urlsplit(url).path.partition("/ingest/")[2].partition("/")[0]
    return re.sub(r"[^a-z0-9-]", "-", name.lower()) or "tail"
