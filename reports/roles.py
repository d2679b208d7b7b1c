"""A report for people outside: roles stand where names of people stood."""

import re
from collections import Counter
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from core.auth import users
from reports.model import IncidentReport

T = TypeVar("T")
_ROLES = ("responder", "manager", "auditor", "administrator")  # what somebody did in an incident, most likely
_LEFT_OUT = {"url"}  # addresses of our own installation


def known(session: Session, report: IncidentReport) -> dict[str, str]:
    """What stands for each name and mail address: “Responder 2” for people with an account, “Reporter 1” for others."""
    instead: dict[str, str] = {}
    counted: Counter[str] = Counter()
    for user in sorted(users.everyone(session), key=lambda user: (user.created_at, user.id)):
        role = next((name for name in _ROLES if name in user.roles), "person")
        counted[role] += 1
        instead[user.name] = instead[user.email] = f"{role.capitalize()} {counted[role]}"
    for message in report.messages:
        if message.to not in instead:
            counted["reporter"] += 1
            instead[message.to] = f"Reporter {counted['reporter']}"
    return {name: role for name, role in instead.items() if name.strip()}


def instead_of_names(report: IncidentReport, instead: dict[str, str]) -> IncidentReport:
    """The same report without names: wherever one stands as a word, in texts of people as well."""
    longest_first = sorted(instead, key=len, reverse=True)
    pattern = re.compile("|".join(rf"(?<!\w){re.escape(name)}(?!\w)" for name in longest_first) or r"(?!)")
    told = _walked(report, lambda text: pattern.sub(lambda found: instead[found.group()], text))
    return replace(told, external=True, head=replace(told.head, url=""))


def _walked(value: T, change: Any) -> T:
    """The value with `change` applied to every text in it."""
    given: Any = value
    if isinstance(given, str):
        given = change(given)
    elif isinstance(given, tuple):
        given = tuple(_walked(one, change) for one in given)
    elif is_dataclass(given) and not isinstance(given, type):
        names = [field.name for field in fields(given) if field.name not in _LEFT_OUT]
        given = replace(given, **{name: _walked(getattr(given, name), change) for name in names})
    return given  # type: ignore[no-any-return]  # of the type it had
