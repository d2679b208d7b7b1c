"""The one search box: an exact key, an address, a hash, a host, a user, or words in titles."""

from dataclasses import dataclass

from fastapi import APIRouter, Request, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors.entities import defang
from connectors.models import IN_FORCE, Countermeasure
from core.actors import Actor
from core.db import reading
from incidents import keys, search
from incidents.models import Incident
from incidents.search import Hit
from incidents.visibility import visible_to
from incidents.whereabouts import Whereabouts, whereabouts
from web.languages import gettext as _
from web.pages import Page, show, then
from web.security import allowed
from web.subjects import seen

router = APIRouter(include_in_schema=False)

MOST = 60


@dataclass(kw_only=True)
class SearchPage(Page, template="search.html"):
    """What the text was taken for, and where it was found."""

    asked: str
    key: str | None
    values: list[tuple[Whereabouts, list[Countermeasure]]]
    incidents: list[tuple[Hit, str]]
    alerts: list[tuple[Hit, str]]
    cut: bool
    examples: list[tuple[str, str]]


@router.get("/search")
def find(request: Request, q: str = "", actor: Actor = allowed("incident.read")) -> Response:
    """Look everywhere; an exact key goes straight to its incident."""
    asked = q.strip()[:500]
    key = keys.read(asked) if asked else None
    with reading() as session:
        if key and session.scalar(select(Incident.id).where(Incident.key == key, visible_to(actor))):
            return then(f"/incidents/{key}")
        values = _values(session, actor, asked) if asked and not key else []
        hits = search.search(session, actor, asked, limit=MOST) if asked else []
    mixed = len({hit.because for hit in hits}) > 1  # otherwise the title has said it
    page = SearchPage(
        asked=asked,
        key=key,
        values=values,
        incidents=[(hit, _because(hit) if mixed else "") for hit in hits if hit.kind == "incident"],
        alerts=[(hit, _because(hit) if mixed else "") for hit in hits if hit.kind == "alert"],
        cut=len(hits) == MOST,
        examples=_examples(),
    )
    return show(request, page)


def _values(session: Session, actor: Actor, asked: str) -> list[tuple[Whereabouts, list[Countermeasure]]]:
    """The values the text means that were seen, each with what is in force against it."""
    found = []
    for one in whereabouts(session, actor, asked):
        query = select(Countermeasure).where(
            Countermeasure.entity_type == one.type,
            Countermeasure.entity_value == one.value,
            Countermeasure.removed_at.is_(None),
            Countermeasure.state.in_(IN_FORCE),
        )
        standing = list(session.scalars(query.order_by(Countermeasure.id.desc()).limit(20)))
        standing = seen(session, actor, standing)
        if one.incidents or one.alerts or standing or _is_sure(one):
            found.append((one, standing))
    return found


def _is_sure(one: Whereabouts) -> bool:
    """Whether the text can hardly be anything but this value: told although it was never seen."""
    return one.type not in ("host", "user", "file", "process")


def _because(hit: Hit) -> str:
    """Why something was found, in the reader's words."""
    if hit.because == "words":
        return _("its words")
    kind, _space, value = hit.because.partition(" ")
    return f"{kind} {defang(kind, value)}" if value else _("its key")


def _examples() -> list[tuple[str, str]]:
    """What can be searched for, each with an example."""
    return [
        (_("An incident's key, also its short form"), "2026-42"),
        (_("An address, as it is or defanged"), "203.0.113.9"),
        (_("A domain, a web address or a mail address"), "login.example.net"),
        (_("A file's hash"), "44d88612fea8a8f36de82e1278abb02f"),
        (_("A host or a user"), "finance-7"),
        (_("Words in titles, tags, rules and notes; the last one may be unfinished"), "mimikatz cred"),
    ]
