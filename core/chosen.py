"""What an administrator sets on a page, kept in the database; an environment variable for the same thing wins."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import parseaddr
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection, String, Text, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from core import facts, logs, reach, witness_places
from core.actors import Actor
from core.auth import factors, permissions
from core.auth.permissions import declare
from core.db import Base, UnitOfWork
from core.errors import Conflict, Invalid, Problem
from core.journal import Fact, record
from core.net import imap, smtp
from core.secrets import Unsealable, seal, unseal
from core.settings import CHANGEABLE, Settings, settings
from core.types import Instant, Ref

log = logs.get(__name__)

MANAGE = declare("settings.manage", "Change how mail leaves and comes in, the report form, the journal's witness and the outside heartbeat")
LONGEST = 2000
SOONEST, LATEST = 5, 86_400
"""Seconds between two looks into a mailbox."""
_SEAL = "core.chosen"


class ChosenSetting(Base):
    """One setting as it was typed; a secret one sealed."""

    __tablename__ = "chosen_settings"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    value: Mapped[str] = mapped_column(Text)
    changed_at: Mapped[datetime] = mapped_column(Instant)


@dataclass(frozen=True)
class Choice:
    """A setting that a page may change: its name among core.settings, and how what is typed is read."""

    name: str
    secret: bool
    read: Callable[[str], Any]
    guarded: bool = False  # who changes it shows a second factor

    @property
    def variable(self) -> str:
        """What it is called in the environment."""
        return CHANGEABLE[self.name]


def _yes(text: str) -> bool:
    if text not in ("0", "1"):
        raise Invalid("Write 1 for on, 0 for off.")
    return text == "1"


def _code(text: str) -> str:
    if len(text) > 100:
        raise Invalid("A code has at most 100 letters.")
    return text


def _mailbox(text: str) -> str:
    imap.read_url(text)
    return text


def _every(text: str) -> timedelta:
    if not (text.isascii() and text.isdecimal() and len(text) < 7 and SOONEST <= int(text) <= LATEST):
        raise Invalid(f"Write a whole number of seconds from {SOONEST} to {LATEST}.")
    return timedelta(seconds=int(text))


def _place(text: str) -> str:
    try:
        where = reach.mail_place(text)
    except Invalid:
        raise Invalid("Write an address and a port, such as 127.0.0.1:2525.") from None
    return f"[{where.host}]:{where.port}" if ":" in where.host else f"{where.host}:{where.port}"


def _addresses(text: str) -> tuple[str, ...]:
    found = tuple(filter(None, (one.strip() for one in text.replace("\n", ",").split(","))))
    for one in found:
        local, _at, domain = one.rpartition("@")
        if not local or not domain or len(one) > 320 or any(letter.isspace() for letter in one):
            raise Invalid(f"“{one[:80]}” is no mail address.")
    return found


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not text.isprintable() or " " in text:
        raise Invalid("Write the whole address, beginning with https:// or http://.")
    return text


def _server(text: str) -> str:
    smtp.read_url(text)
    return text


def _sender(text: str) -> str:
    _name, address = parseaddr(text)
    local, _at, domain = address.rpartition("@")
    if not local or not domain or not text.isprintable() or len(text) > 320 or any(one in address for one in " <>,"):
        raise Invalid("Write the address that mail comes from, such as tocsin@example.org or Tocsin <tocsin@example.org>.")
    return text


def _witnesses(text: str) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(filter(None, (one.strip() for one in text.replace("\n", ",").split(",")))))
    for one in found:
        try:
            witness_places.name_of(one)
        except Invalid:
            raise Invalid("Write a witness as mailto:auditor@example.org or https://archive.example.org/…") from None
    return found


CHOICES = {
    choice.name: choice
    for choice in (
        Choice("report_form", False, _yes),
        Choice("report_code", True, _code),
        Choice("imap_url", True, _mailbox),
        Choice("imap_every", False, _every),
        Choice("mail_listen", False, _place),
        Choice("mail_to", False, _addresses),
        Choice("heartbeat_url", True, _url),
        Choice("smtp_url", True, _server, guarded=True),
        Choice("smtp_from", False, _sender, guarded=True),
        Choice("witness", True, _witnesses, guarded=True),
    )
}
"""Every setting that may be changed on a page, by its name."""


@dataclass(frozen=True)
class Kept:
    """What the database holds: the values that can be used, and the names of those whose seal cannot be opened."""

    values: Mapping[str, Any]
    broken: frozenset[str]


def kept(held: Session | Connection) -> Kept:
    """Everything that was set on a page."""
    values, broken = {}, set()
    for name, text in held.execute(select(ChosenSetting.name, ChosenSetting.value)):
        choice = CHOICES.get(name)
        if choice is None:
            continue
        try:
            values[name] = choice.read(unseal(text, _SEAL) if choice.secret else text)
        except (Unsealable, Invalid) as error:
            broken.add(name)
            log.warning("a setting cannot be used", extra={"setting": name, "reason": error.message})
    return Kept(values, frozenset(broken))


def shown(session: Session) -> dict[str, str]:
    """What was set on a page, as it was typed; a secret is empty."""
    rows = session.execute(select(ChosenSetting.name, ChosenSetting.value))
    return {name: "" if CHOICES[name].secret else text for name, text in rows if name in CHOICES}


def effective(held: Session | Connection) -> Settings:
    """The settings as they are now: what the environment says, else what was set on a page, else the default."""
    given = settings()
    return replace(
        given, **{name: value for name, value in kept(held).values.items() if name not in given.fixed}
    )


def put(uow: UnitOfWork, actor: Actor, wanted: Mapping[str, str]) -> list[str]:
    """Set these, as they are typed; "" goes back to the default. Returns the names of those that changed.

    Raises Forbidden, NeedsSecondFactor, Conflict (the environment says otherwise), Invalid with every problem.
    """
    permissions.require(actor, MANAGE.name)
    if any(name in CHOICES and CHOICES[name].guarded for name in wanted):
        factors.require_fresh(uow, actor)
    _check(wanted)
    changed = []
    for name, text in wanted.items():
        row, secret = uow.get(ChosenSetting, name), CHOICES[name].secret
        if not text and row is None:
            continue
        if row is not None and text and not secret and row.value == text:
            continue
        changed.append(name)
        if not text:
            uow.delete(row)
        else:
            value = seal(text, _SEAL) if secret else text
            uow.merge(ChosenSetting(name=name, value=value, changed_at=uow.now))
        told = "" if not text else "(secret)" if secret else text
        body = {"name": name, "change": "set" if text else "taken back"}
        record(uow, actor, Fact(facts.SETTING_CHANGED, (Ref("setting", name),), body, {"value": told}))
    uow.flush()
    return changed


def _check(wanted: Mapping[str, str]) -> None:
    problems = []
    fixed = settings().fixed
    for name, text in wanted.items():
        choice = CHOICES.get(name)
        if choice is None:
            problems.append(Problem(name, f"There is no setting {name[:40]} that can be changed here."))
            continue
        if name in fixed:
            raise Conflict(
                f"{choice.variable} is set where Tocsin is started, and wins: take it out there first."
            )
        if len(text) > LONGEST or "\x00" in text:
            problems.append(Problem(name, f"Write at most {LONGEST} letters."))
            continue
        try:
            if text:
                choice.read(text)
        except Invalid as error:
            problems.append(Problem(name, error.message))
    if problems:
        raise Invalid(" ".join(problem.message for problem in problems), problems)


def tried(uow: UnitOfWork, actor: Actor, name: str, *, worked: bool) -> None:
    """Somebody tried a setting out, and it worked or not."""
    permissions.require(actor, MANAGE.name)
    record(uow, actor, Fact(facts.SETTING_TRIED, (Ref("setting", name),), {"name": name, "worked": worked}))
