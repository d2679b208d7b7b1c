"""A report for people outside: roles stand where names of people stood, and their phone numbers and addresses are left out."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from connectors import rails, shared_ranges
from connectors.entities import defang
from core.auth import users
from reports.model import IncidentReport, Observable

T = TypeVar("T")
_ROLES = ("responder", "manager", "auditor", "administrator")  # what somebody did in an incident, most likely
_LEFT_OUT = {
    "url",
    "id",
    "key",
    "digest",
    "sha256",
    "verify",
    "number",
}  # ours, and nothing that people wrote
_NOBODYS = {
    "root",
    "admin",
    "administrator",
    "system",
    "guest",
    "nobody",
    "daemon",
    "service",
    "local system",
    "www-data",
}
"""Accounts that name no person."""
_OURS = {"victim", "target", "recipient", "reporter"}  # roles of those whom it was done to
_MAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}(?:@|\[@\])[\w-]+(?:(?:\.|\[\.\])[\w-]+)+")
_PHONE = re.compile(
    r"(?<![\w.:/+-])(?:\+|00)\d[\d ().-]{6,17}\d(?!\w)|(?i:(?<=tel )|(?<=tel\. )|(?<=tel: )|(?<=phone )|(?<=phone: )|(?<=mobile )|(?<=mobile: ))\(?\d[\d ().-]{5,17}\d(?!\w)"
)


@dataclass(frozen=True)
class Known:
    """What stands for each name and address; and mail addresses that are indicators of the attacker, which stay."""

    instead: dict[str, str]
    stays: frozenset[str]


def known(session: Session, report: IncidentReport) -> Known:
    """“Responder 2” for people with an account, “Reporter 1” for those who reported, “Account 3” for those it was done to."""
    instead: dict[str, str] = {}
    counted: Counter[str] = Counter()
    our_domains = {
        row.value.casefold().removeprefix("*.")
        for row in rails.protected(session)
        if row.kind == "domain" and row.own
    }
    for user in sorted(users.everyone(session), key=lambda user: (user.created_at, user.id)):
        role = next((name for name in _ROLES if name in user.roles), "person")
        counted[role] += 1
        instead[user.name] = instead[user.email] = instead[defang("email", user.email)] = (
            f"{role.capitalize()} {counted[role]}"
        )
        our_domains.add(user.email.rpartition("@")[2].casefold())
    our_domains -= shared_ranges.DOMAINS
    for message in report.messages:
        if message.to not in instead:
            counted["reporter"] += 1
            instead[message.to] = f"Reporter {counted['reporter']}"
    stays = set()
    for one in report.observables:
        if one.value in instead or not _of_a_person(one):
            continue
        if one.type == "email" and not _is_ours(one, our_domains):
            stays |= {one.value.casefold(), one.shown.casefold()}
            continue
        counted["account"] += 1
        instead[one.value] = instead[one.shown] = f"Account {counted['account']}"
    return Known({name: role for name, role in instead.items() if name.strip()}, frozenset(stays))


def _of_a_person(one: Observable) -> bool:
    return one.type == "email" or (
        one.type == "user" and one.value.casefold() not in _NOBODYS and len(one.value) > 2
    )


def _is_ours(one: Observable, our_domains: set[str]) -> bool:
    """Whether a mail address is one of ours, or of somebody whom it was done to."""
    return bool(set(one.roles) & _OURS) or one.value.rpartition("@")[2].casefold() in our_domains


def instead_of_names(report: IncidentReport, known: Known) -> IncidentReport:
    """The same report without names, phone numbers and mail addresses of people: in texts of people as well."""
    longest_first = sorted(known.instead, key=len, reverse=True)
    names = re.compile("|".join(rf"(?<!\w){re.escape(name)}(?!\w)" for name in longest_first) or r"(?!)")

    def without(text: str) -> str:
        text = names.sub(lambda found: known.instead[found.group()], text)
        text = _MAIL.sub(
            lambda found: (
                found.group() if found.group().rstrip(".-").casefold() in known.stays else "(mail address)"
            ),
            text,
        )
        return _PHONE.sub("(phone number)", text)

    told = _walked(report, without)
    return replace(told, external=True, head=replace(told.head, url=""))


def _walked(value: T, change: Callable[[str], str]) -> T:
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
