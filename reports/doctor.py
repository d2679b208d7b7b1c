"""Examines whether this installation is looked after: one light for each thing that goes wrong unseen."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy.orm import Session

from core import chosen, plugins
from core.auth.permissions import declare
from core.db import database_now
from core.settings import Settings

READ_DOCTOR = declare("doctor.read", "See whether this installation is looked after")


class State(StrEnum):
    """How a light shines: red means that an alarm may be lost or the record may be gone."""

    green = "green"
    yellow = "yellow"
    red = "red"

    @property
    def rank(self) -> int:
        """0 for green, 2 for red; also the exit status of `tocsin doctor`."""
        return list(State).index(self)


@dataclass(frozen=True)
class Finding:
    """What one look found: a sentence, and for what is not green the one thing to do.

    It is done on one of our pages (`href`, `word` is its button) or by an operator (`command`: a setting or what to type).
    """

    state: State
    says: str
    todo: str = ""
    href: str = ""
    word: str = ""
    command: str = ""


@dataclass(frozen=True)
class Look:
    """What a light may read: the database, the settings as they are now, the database's clock."""

    session: Session
    settings: Settings
    now: datetime


@dataclass(frozen=True)
class Light:
    """One thing to look after; `place` orders the lights, the lowest first. `look` only reads."""

    name: str
    title: str
    place: int
    look: Callable[[Look], Finding]


@dataclass(frozen=True)
class Shown:
    """A light as it shines now."""

    light: Light
    finding: Finding

    def told(self) -> dict[str, str]:
        """As JSON has it: name, title, state, says, todo, href, command."""
        found = self.finding
        return {
            "name": self.light.name, "title": self.light.title, "state": found.state.value, "says": found.says,
            "todo": found.todo, "href": found.href, "command": found.command,
        }  # fmt: skip


@dataclass(frozen=True)
class _Examined:
    """What was found, where and when (monotonic)."""

    bind: object
    at: float
    shown: list[Shown]


LATELY = 10.0
_lately: list[_Examined] = []  # one at most


def lights() -> list[Light]:
    """Every light, in their order; found by walking reports/lights."""
    found: dict[str, Light] = plugins.discover("reports.lights", "light")
    return sorted(found.values(), key=lambda light: light.place)


def examine(session: Session) -> list[Shown]:
    """Look at everything. Raises Unavailable when the database cannot be asked."""
    look = Look(session, chosen.effective(session), database_now(session))
    return [Shown(light, light.look(look)) for light in lights()]


def one(session: Session, name: str) -> Finding:
    """What the light of that name finds now. Raises KeyError for an unknown one."""
    known = {light.name: light for light in lights()}
    return known[name].look(Look(session, chosen.effective(session), database_now(session)))


def lately(session: Session) -> list[Shown]:
    """What examine() found at most LATELY seconds ago in this process, or finds now: for a page that is opened all day."""
    bind = session.get_bind()
    if _lately and _lately[0].bind is bind and time.monotonic() - _lately[0].at < LATELY:
        return _lately[0].shown
    shown = examine(session)
    _lately[:] = [_Examined(bind, time.monotonic(), shown)]
    return shown


def worst(shown: list[Shown]) -> State:
    """The worst of the lights."""
    return max((one.finding.state for one in shown), key=lambda state: state.rank, default=State.green)
