"""The `alert` and `incident` that rules, triggers and playbooks may speak of: declared fields and how they are filled.

Every field is always present (null or an empty list), and all values are plain: texts, numbers, booleans, aware times,
lists and maps.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from connectors.contract import CATEGORIES
from core.expressions import Schema, one_of
from core.types import Severity
from incidents.stages import TRUSTS, Confirmation, Kind, Pap, Priority, Stage, Tlp, WaitingOn

_SEVERITY = one_of(*(severity.value for severity in Severity))
_NAMES = {
    "ipv4-addr": "ipv4", "ipv6-addr": "ipv6", "domain": "domain", "url": "url", "email": "email",
    "file-hash": "file_hash", "host": "host", "user": "user", "file": "file", "process": "process", "mac": "mac",
    "cve": "cve",
}  # fmt: skip
OBSERVABLE_NAMES: tuple[str, ...] = ("ip", *_NAMES.values())
"""The names under which observables are found by type: `incident.observables.domain`."""

_FIRSTS = {
    "host": "host", "user": "user", "ip": "ip", "domain": "domain", "url": "url", "hash": "file_hash",
    "email": "email",
}  # fmt: skip
_VICTIM_FIRST = ("victim", "target", "artifact", "actor", "source", "observer")
_ATTACKER_FIRST = ("source", "actor", "artifact", "target", "victim", "observer")
_ASSETS = ("host", "user", "email")

_OBSERVED = {
    **dict.fromkeys(_FIRSTS, "str?"),
    "observables": dict.fromkeys(OBSERVABLE_NAMES, "list[str]"),
}

ALERT = Schema(
    {
        "alert": {
            "title": "str", "description": "str?", "severity": _SEVERITY, "severity_rank": "int",
            "status": one_of("firing", "acknowledged", "resolved"), "external_id": "str?", "fingerprint": "str",
            "rule_id": "str?", "rule_name": "str?", "category": one_of(*CATEGORIES), "techniques": "list[str]",
            "tags": "list[str]", "labels": "map[str]", "url": "str?", "correlation": "str?", "is_test": "bool",
            "source": "str", "connector": "str", "trust": one_of(*TRUSTS), "occurred_at": "timestamp?",
            "first_seen": "timestamp", "last_seen": "timestamp", "count": "int", "late": "bool", "learning": "bool",
            **_OBSERVED,
        }
    }
)  # fmt: skip
"""What grouping rules speak of."""

INCIDENT = Schema(
    {
        "incident": {
            "id": "str", "key": "str", "title": "str", "description": "str?", "kind": one_of(*Kind),
            "severity": _SEVERITY, "severity_rank": "int", "priority": one_of(*Priority), "stage": one_of(*Stage),
            "status": "str?", "confirmation": one_of(*Confirmation), "category": one_of(*CATEGORIES),
            "waiting_on": one_of(*WaitingOn), "tlp": one_of(*Tlp), "pap": one_of(*Pap), "owner": "str?",
            "restricted": "bool", "constituency": "str?", "team": "str?", "techniques": "list[str]",
            "tags": "list[str]", "source": "str?", "trust": one_of(*TRUSTS), "late": "bool", "learning": "bool",
            "exercise": "bool", "alert_count": "int", "recurrence": "bool", "opened_at": "timestamp", "closed_at": "timestamp?",
            "disposition": "str?", "link": "str?", "same_minute": "list[str]", "recovered": "bool",
            "host_alerts": "list[str]", "host_protected": "str?", **_OBSERVED,
        }
    }
)  # fmt: skip
"""What triggers and playbooks speak of; filled by `incidents.queries.facts`. `link` is its first alert's page at the product.

`same_minute`: of an outage, the other alerts that came within a minute of its opening, at most twenty; `recovered`: of an outage,
whether its sources say that all its alerts are over. `host_alerts`
and `host_protected`: of malware, the other alerts of its host in seven days, and why the host is protected here."""


def observed(entities: Iterable[tuple[str, str, str]]) -> dict[str, Any]:
    """The `observables` by name and the first of each (or null), from (type, value, role).

    First is, for hosts, users and mails, the victim or target before others; for addresses, domains, URLs and hashes
    the source or actor before others: the value an action would most likely be about.
    """
    listed = list(entities)
    by_name: dict[str, list[tuple[int, str]]] = {name: [] for name in OBSERVABLE_NAMES}
    for kind, value, role in listed:
        name = _NAMES.get(kind)
        if name is None:
            continue
        for place in (name, "ip") if name in ("ipv4", "ipv6") else (name,):
            by_name[place].append((_preference(place, role), value))
    values = {name: _unique(found) for name, found in by_name.items()}
    return {
        **{field: next(iter(values[name]), None) for field, name in _FIRSTS.items()},
        "observables": values,
    }


def alert_facts(row: Mapping[str, Any], entities: Sequence[tuple[str, str, str]]) -> dict[str, Any]:
    """The `alert` of the schema from a row's columns (by their names) and its entities."""
    severity = Severity(row["severity"])
    return {
        **{name: row[name] for name in _COPIED},
        "severity": severity.value,
        "severity_rank": severity.rank,
        "techniques": list(row["techniques"]),
        "tags": list(row["tags"]),
        "labels": dict(row["labels"]),
        **observed(entities),
    }


_COPIED = (
    "title", "description", "status", "external_id", "fingerprint", "rule_id", "rule_name", "category", "url",
    "correlation", "is_test", "source", "connector", "trust", "occurred_at", "first_seen", "last_seen", "count", "late",
    "learning",
)  # fmt: skip


def _preference(name: str, role: str) -> int:
    order = _VICTIM_FIRST if name in _ASSETS else _ATTACKER_FIRST
    return order.index(role) if role in order else len(order)


def _unique(found: list[tuple[int, str]]) -> list[str]:
    return list(dict.fromkeys(value for _, value in sorted(found, key=lambda item: item[0])))
