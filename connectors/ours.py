"""What a team says is its own, in plain lines: suggested from this machine, kept as protected entities."""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors import rails, shared_ranges
from connectors.guards import check_protected
from core import host
from core.actors import Actor
from core.auth.models import User
from core.db import UnitOfWork
from core.errors import Invalid, Problem

MOST = 500  # lines that are read at once
_NAME = re.compile(r"(?!-)[a-z0-9_*-]{1,63}(?:\.[a-z0-9_*-]{1,63})*", re.IGNORECASE)
_PERSON = re.compile(r"[^\s,;@]{1,120}(?:@[a-z0-9.-]{1,130})?", re.IGNORECASE)
_SPACES = re.compile(r"[\s,;]+")


@dataclass(frozen=True)
class Kind:
    """One question: how its lines are read (network, machine, domain or person), and the reason that is kept with them.

    `own` ones are never sent to an outside service for a look-up either.
    """

    name: str
    reads: str
    reason: str
    own: bool = True


KINDS = (
    Kind("networks", "network", "one of our own networks"),
    Kind("ways", "machine", "our resolver or gateway: without it nothing here works", own=False),
    Kind("server", "machine", "the server that Tocsin runs on"),
    Kind("scanner", "machine", "our vulnerability scanner: what it does is meant to look like an attack"),
    Kind("domains", "domain", "one of our own domains"),
    Kind("people", "user", "must never be locked out"),
)


@dataclass(frozen=True)
class Said:
    """One line as it will be protected: kind is network, domain, host or user."""

    kind: str
    value: str
    reason: str
    own: bool


def suggested(session: Session, base_url_host: str) -> dict[str, list[str]]:
    """For each question the lines this machine can answer by itself, without what is protected already."""
    emails = session.scalars(
        select(User.email)
        .where(User.disabled_at.is_(None), User.password.is_not(None))
        .order_by(User.id)
        .limit(20)
    ).all()
    mails = {email.rpartition("@")[2] for email in emails if not email.endswith("@localhost")}
    outside = [] if host.is_loopback(base_url_host) else [base_url_host]
    guess: dict[str, Iterable[object]] = {
        "networks": host.networks(),
        "ways": [*host.gateways(), *host.resolvers()],
        "server": [*host.addresses(), *host.names()[:1], *outside],
        "scanner": [],
        "domains": [*host.domains(), *sorted(mails - shared_ranges.DOMAINS)],
        "people": [email for email in emails if not email.endswith("@localhost")],
    }
    known = {(row.kind, row.value) for row in rails.protected(session)}
    found: dict[str, list[str]] = {}
    for kind in KINDS:
        lines = list(dict.fromkeys(str(one).lower() for one in guess[kind.name]))
        found[kind.name] = [
            line for line in lines if (one := _line(kind, line)) and (one.kind, one.value) not in known
        ]
    return found


def read(given: Mapping[str, str]) -> list[Said]:
    """The lines of each question, each value once. Raises Invalid with a problem for every line that cannot be meant."""
    problems: list[Problem] = []
    found: dict[tuple[str, str], Said] = {}
    for kind in KINDS:
        words = [word for word in _SPACES.split(given.get(kind.name, "")) if word]
        if len(words) > MOST:
            problems.append(Problem(kind.name, f"more than {MOST} lines at once"))
            continue
        for word in words:
            said = _line(kind, word)
            if said is None:
                problems.append(Problem(kind.name, f"“{word[:80]}” is not {_WANTED[kind.reads]}"))
            else:
                found.setdefault((said.kind, said.value), said)
    if problems:
        raise Invalid("; ".join(one.message for one in problems[:5]), problems)
    return list(found.values())


def protect(uow: UnitOfWork, actor: Actor, said: Iterable[Said]) -> int:
    """Protect what is not protected yet; returns how much that was. Raises Forbidden."""
    known = {(row.kind, row.value) for row in rails.protected(uow)}
    new = [one for one in said if (one.kind, one.value) not in known]
    for one in new:
        rails.protect(uow, actor, kind=one.kind, value=one.value, reason=one.reason, own=one.own)
    return len(new)


_WANTED = {
    "network": "a network such as 10.0.0.0/8",
    "machine": "an address or a host's name",
    "domain": "a domain such as example.org",
    "user": "a user's name or mail address",
}


def _line(kind: Kind, word: str) -> Said | None:
    """One line as it is kept; None when it cannot be meant."""
    reads = kind.reads
    if reads == "machine":
        reads = "host"
        with suppress(ValueError):
            ipaddress.ip_network(word, strict=False)
            reads = "network"
    if reads == "domain" and not ("." in word and _NAME.fullmatch(word.removeprefix("*."))):
        return None
    if (reads == "host" and not _NAME.fullmatch(word)) or (reads == "user" and not _PERSON.fullmatch(word)):
        return None
    try:
        return Said(reads, check_protected(reads, word), kind.reason, kind.own)
    except Invalid:
        return None
