"""A day of a small network as Wazuh and Suricata write it to their files; every name and address is invented."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

Event = dict[str, Any]

BASTION, FILES, WEB = ("003", "bastion-01", "192.0.2.10"), ("014", "files-02", "192.0.2.41"), ("021", "web-01", "192.0.2.80")
ATTACKER = "203.0.113.9"
WAZUH_DAY, SURICATA_DAY = 2_400, 180


def wazuh(at: datetime, agent: tuple[str, str, str], rule: tuple[str, int, str], groups: list[str], **more: Any) -> Event:
    """One alert of alerts.json: `rule` is its id, level and description; `more` goes into data, syscheck or full_log."""
    number, level, description = rule
    event: Event = {
        "timestamp": at.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000",
        "rule": {"level": level, "description": description, "id": number, "groups": groups, "firedtimes": 1, "mail": False},
        "agent": dict(zip(("id", "name", "ip"), agent, strict=True)),
        "manager": {"name": "wazuh-01"},
        "id": f"{at.timestamp():.3f}{number}",
        "decoder": {"name": "sshd"},
        "location": "/var/log/auth.log",
    }  # fmt: skip
    return event | more


def failed_sign_in(at: datetime, source: str, user: str) -> Event:
    """Somebody tries a user that does not exist."""
    said = f"{at:%b %d %H:%M:%S} bastion-01 sshd[7101]: Invalid user {user} from {source} port 40222"
    return wazuh(
        at, BASTION, ("5710", 5, "sshd: Attempt to login using a non-existent user"),
        ["syslog", "sshd", "authentication_failed", "invalid_login"], data={"srcip": source, "srcuser": user}, full_log=said,
    )  # fmt: skip


def brute_force(at: datetime, serial: int = 0) -> Event:
    """Many passwords for one account, from the attacker's address."""
    event = wazuh(
        at, BASTION, ("5763", 10, "sshd: brute force trying to get access to the system. Authentication failed."),
        ["syslog", "sshd", "authentication_failures"], data={"srcip": ATTACKER, "dstuser": "deploy"},
        full_log=f"{at:%b %d %H:%M:%S} bastion-01 sshd[7311]: Failed password for deploy from {ATTACKER} port {50_000 + serial} ssh2",
    )  # fmt: skip
    event["rule"]["mitre"] = {"id": ["T1110"], "tactic": ["Credential Access"], "technique": ["Brute Force"]}
    return event


def _of_the_day(at: datetime, number: int) -> Event:
    match number % 20:
        case 0:
            return wazuh(at, FILES, ("5402", 3, "Successful sudo to ROOT executed"), ["syslog", "sudo"],
                         data={"srcuser": f"op{number % 7}", "dstuser": "root"}, full_log="sudo: op : COMMAND=/usr/bin/apt")  # fmt: skip
        case 1 | 2 | 3 | 4 | 5:
            return wazuh(at, WEB, ("31101", 5, "Web server 400 error code."), ["web", "accesslog"],
                         data={"srcip": f"198.51.100.{number % 40 + 1}", "url": "/wp-login.php"}, full_log="GET /wp-login.php 404")  # fmt: skip
        case 6 | 7 | 8:
            return wazuh(at, FILES, ("5501", 3, "PAM: Login session opened."), ["pam", "syslog"], full_log="session opened for user backup")  # fmt: skip
        case _:
            return failed_sign_in(at, f"198.51.100.{number % 30 + 100}", f"user{number % 11}")


def wazuh_day(folder: Path, now: datetime) -> Path:
    """Write alerts.json and the file it was rotated to, which hold the last 24 hours; one alert among them is bad."""
    events = [_of_the_day(now - timedelta(seconds=84_000 - 34 * number), number) for number in range(WAZUH_DAY - 1)]
    found = wazuh(
        now - timedelta(hours=9), FILES, ("87105", 12, "VirusTotal: Alert - /srv/share/invoice-2291.exe - 58 engines detected this file"),
        ["virustotal"], data={"virustotal": {"found": "1", "malicious": "1", "positives": "58", "total": "72", "source": {"file": "/srv/share/invoice-2291.exe"}}},
        full_log="virustotal: 58 of 72",
    )  # fmt: skip
    events.insert(len(events) // 2, found)
    log = folder / "alerts.json"
    write(log.with_name("alerts.json.1"), *events[: WAZUH_DAY // 2])
    write(log, *events[WAZUH_DAY // 2 :])
    return log


def suricata(at: datetime, source: str, target: str, signature: tuple[int, str, str, int]) -> Event:
    """One alert of eve.json: `signature` is its id, name, category and severity (1 is the worst)."""
    number, name, category, severity = signature
    return {
        "timestamp": at.strftime("%Y-%m-%dT%H:%M:%S.%f") + "+0000", "flow_id": int(at.timestamp() * 1000), "in_iface": "eth1",
        "event_type": "alert", "src_ip": source, "src_port": 44_122, "dest_ip": target, "dest_port": 22, "proto": "TCP",
        "host": "sensor-dmz",
        "alert": {"action": "allowed", "gid": 1, "signature_id": number, "rev": 4, "signature": name, "category": category, "severity": severity},
    }  # fmt: skip


def ssh_scan(at: datetime, source: str = ATTACKER) -> Event:
    """The attacker as the sensor sees them."""
    return suricata(at, source, BASTION[2], (9_000_101, "EXAMPLE SCAN SSH brute force from outside", "Attempted Information Leak", 2))


def suricata_day(folder: Path, now: datetime) -> Path:
    """Write eve.json with the last 24 hours; two lines of three are no alerts."""
    events: list[Event] = []
    for number in range(SURICATA_DAY):
        at, outside = now - timedelta(seconds=84_000 - 460 * number), f"198.51.100.{number % 25 + 1}"
        flow = {"timestamp": at.strftime("%Y-%m-%dT%H:%M:%S.%f") + "+0000", "event_type": "flow", "src_ip": outside, "dest_ip": WEB[2]}
        kinds = (
            (9_000_201, "EXAMPLE POLICY curl user agent", "Misc activity", 3),
            (9_000_202, "EXAMPLE SCAN port sweep", "Attempted Information Leak", 3),
            (9_000_203, "EXAMPLE DNS query for a long name", "Potentially Bad Traffic", 3),
        )
        events += [flow, {**flow, "event_type": "stats"}, suricata(at, outside, WEB[2], kinds[number % 4 % 3])]
    log = folder / "eve.json"
    write(log, *events)
    return log


def write(log: Path, *events: Event) -> None:
    """Append events, one line each, as the product does."""
    with log.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(event) + "\n" for event in events)
