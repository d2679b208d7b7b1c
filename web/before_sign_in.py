"""What a page may say to whoever holds its link but has not signed in: no names, no addresses, nothing above TLP:AMBER."""

import re
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors import entities
from core.actors import SYSTEM
from incidents import observables
from incidents.models import Incident
from incidents.stages import Tlp
from incidents.visibility import as_id
from notify.models import Page
from notify.wording import one_line, two_lines
from web.languages import gettext as _

HIDDEN = "▒▒▒"
_DOTTED = re.compile(r"[\w-]+(?:\.[\w-]+)+")  # a host or account, also under a top-level domain nobody knows


@dataclass(frozen=True)
class Outside:
    """The title and at most two lines; `veiled` tells that something was left out."""

    title: str
    lines: tuple[str, ...]
    veiled: bool


def outside(session: Session, page: Page) -> Outside:
    """The page as the link shows it."""
    incident = _incident(session, page)
    if incident is not None and (incident.tlp == Tlp.red or incident.restricted_to is not None):
        return Outside(_("You are needed for %(key)s") % {"key": incident.key}, (), veiled=True)
    known = [seen.value for seen in observables.of_incident(session, SYSTEM, incident.id)] if incident else []
    title = veil(one_line(page.title), known)
    lines = tuple(veil(line, known) for line in two_lines(page.message).splitlines())
    return Outside(title, lines, veiled=any(HIDDEN in text for text in (title, *lines)))


def veil(text: str, known: list[str]) -> str:
    """The text without the values it is known to be about, nor anything that looks like an observable."""
    values = {value for value in known if len(value) > 2} | {found.value for found in entities.extract(text)}
    for value in sorted(values, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", HIDDEN, text, flags=re.IGNORECASE)
    return " ".join(HIDDEN if _telling(word) else word for word in text.split())


def _telling(word: str) -> bool:
    dotted = _DOTTED.search(word)
    return bool(dotted and any(letter.isalpha() for letter in dotted[0])) or bool(entities.extract(word))


def _incident(session: Session, page: Page) -> Incident | None:
    number: UUID | None = as_id(page.subject_id) if page.subject_kind == "incident" else None
    return session.scalar(select(Incident).where(Incident.id == number)) if number else None
