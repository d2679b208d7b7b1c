"""What a page may say where anybody could read it: no names, no addresses, nothing above TLP:AMBER."""

import re
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors import entities
from core.actors import SYSTEM
from core.types import Ref
from incidents import observables
from incidents.models import Incident
from incidents.stages import Tlp
from incidents.visibility import as_id
from notify.outside import HIDDEN, Outside, decided_by
from notify.wording import one_line, two_lines

_DOTTED = re.compile(r"[\w-]+(?:\.[\w-]+)+")  # a host or account, also under a top-level domain nobody knows


@decided_by
def outside(session: Session, subject: Ref, title: str, text: str) -> Outside:
    """A title and text about `subject`, as whoever holds the link, the phone or the line between may know them."""
    incident = _incident(session, subject)
    if incident is not None and _kept_inside(incident):
        return Outside(f"You are needed for {incident.key}", (), veiled=True)
    known = _values(session, incident)
    told = veil(one_line(title), known)
    lines = tuple(veil(line, known) for line in two_lines(text).splitlines())
    return Outside(told, lines, veiled=any(HIDDEN in line for line in (told, *lines)))


def steps_outside(session: Session, subject: Ref, steps: Sequence[str]) -> list[str]:
    """What there is to do, in the same way: nothing at all above TLP:AMBER."""
    incident = _incident(session, subject)
    if incident is None or _kept_inside(incident):
        return []
    known = _values(session, incident)
    return [veil(one_line(step), known) for step in steps]


def _kept_inside(incident: Incident) -> bool:
    """Whether nothing but its number may be told: it is marked above TLP:AMBER, or for certain people only."""
    return incident.tlp in (Tlp.amber_strict, Tlp.red) or incident.restricted_to is not None


def _values(session: Session, incident: Incident | None) -> list[str]:
    if incident is None:
        return []
    return [seen.value for seen in observables.of_incident(session, SYSTEM, incident.id)]


def veil(text: str, known: list[str]) -> str:
    """The text without the values it is known to be about, nor anything that looks like an observable."""
    values = {value for value in known if len(value) > 2} | {found.value for found in entities.extract(text)}
    for value in sorted(values, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", HIDDEN, text, flags=re.IGNORECASE)
    return " ".join(HIDDEN if _telling(word) else word for word in text.split())


def _telling(word: str) -> bool:
    dotted = _DOTTED.search(word)
    return bool(dotted and any(letter.isalpha() for letter in dotted[0])) or bool(entities.extract(word))


def _incident(session: Session, subject: Ref) -> Incident | None:
    number: UUID | None = as_id(subject.id) if subject.kind == "incident" else None
    return session.scalar(select(Incident).where(Incident.id == number)) if number else None
