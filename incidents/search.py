"""The one search box: an exact key, an address, hash, host or user, or words in titles; only what the reader may see."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, exists, func, select
from sqlalchemy.orm import Session, aliased

from connectors.entities import classify, normalise, refang
from core import bulk
from core.actors import Actor
from incidents import keys
from incidents.indexing import tokens_of
from incidents.models import Alert, Incident, Observable, SearchWord, Sighting
from incidents.observables import observable_id
from incidents.visibility import alerts_visible_to, visible_to

MIN_PREFIX = 3
LOOKED_AT = 5000
CANDIDATES = 300
SORTED = 20_000
LAST_CHARACTER = "\U0010ffff"
_words: Any = SearchWord.__table__


@dataclass(frozen=True)
class Hit:
    """One thing found: an incident (with its key) or an alert; `because` names what matched."""

    kind: str
    id: UUID
    key: str | None
    title: str
    severity: str
    at: datetime
    because: str


def search(session: Session, actor: Actor, text: str, *, limit: int = 30) -> list[Hit]:
    """What the text means to this reader, best first: the incident of a key, what saw a value, what holds all words."""
    text = text.strip()[:500]
    if not text:
        return []
    found: dict[UUID, Hit] = {}
    if key := keys.read(text):
        _add(found, session, _incidents(actor).where(Incident.key == key), "key", limit)
    for kind, value, of in known(session, meanings(text)):
        because = f"{kind} {value}"
        _add(
            found,
            session,
            _incidents(actor).where(Incident.id.in_(_seen(of, Sighting.incident_id))),
            because,
            limit,
        )
        _add(
            found,
            session,
            _alert_hits(actor).where(Alert.id.in_(_seen(of, Sighting.alert_id))),
            because,
            limit,
        )
    if words := tokens_of(text)[:8]:
        for kind, query, model in (
            ("incident", _incidents(actor), Incident),
            ("alert", _alert_hits(actor), Alert),
        ):
            if ids := _holding(session, kind, words):
                _add(found, session, query.where(model.id.in_(ids)), "words", limit)
    return list(found.values())[:limit]


def meanings(text: str) -> list[tuple[str, str]]:
    """What values the text may be: what it surely is, and a host or a user when it is a bare name."""
    plain = refang(text)
    found: dict[tuple[str, str], None] = {}
    if told := classify(plain):
        found[told] = None
    if " " not in plain:
        for kind in ("host", "user", "domain", "file", "process"):
            value = normalise(kind, plain)
            if value is not None:
                found[kind, value] = None
    return list(found)


def known(session: Session, meant: Sequence[tuple[str, str]]) -> list[tuple[str, str, UUID]]:
    """Those of these values that were ever seen anywhere, with their ids: most of what a text may mean never was."""
    ids = {observable_id(kind, value): (kind, value) for kind, value in meant}
    seen = set(session.scalars(select(Observable.id).where(bulk.among(session, Observable.id, ids))))
    return [(kind, value, of) for of, (kind, value) in ids.items() if of in seen]


def _seen(of: UUID, thing: Any) -> Select[Any]:
    """The things of the newest sightings of an observable."""
    query: Select[Any] = select(thing).where(Sighting.observable_id == of, thing.is_not(None))
    return query.order_by(Sighting.created_at.desc()).limit(CANDIDATES)


def _incidents(actor: Actor) -> Select[Any]:
    columns: list[Any] = [Incident.id, Incident.key, Incident.title, Incident.severity, Incident.created_at]
    return select(*columns).where(visible_to(actor)).order_by(Incident.created_at.desc(), Incident.id.desc())


def _alert_hits(actor: Actor) -> Select[Any]:
    columns: list[Any] = [Alert.id, Alert.title, Alert.severity, Alert.created_at]
    return select(*columns).where(alerts_visible_to(actor)).order_by(Alert.created_at.desc(), Alert.id.desc())


def _holding(session: Session, kind: str, words: Sequence[str]) -> list[UUID]:
    """The newest things that hold every word; the last word may be unfinished, as while typing.

    The rarest whole word leads. Of words that are in more than 5,000 things the newest 5,000 are looked at; of a beginning
    that is in more than 20,000 places, these are the last words in the alphabet.
    """
    unfinished = words[-1] if len(words[-1]) >= MIN_PREFIX else None
    whole = [word for word in words if word != unfinished]
    if len(whole) > 1:
        whole.sort(key=lambda word: _rarity(session, kind, word))
    lead: Any = aliased(SearchWord)
    if not whole:
        lead = _beginning(kind, unfinished or "")
    first = select(lead.thing_id, lead.at).where(lead.kind == kind, *([lead.word == whole[0]] if whole else []))
    leading = first.order_by(lead.at.desc(), lead.thing_id.desc()).limit(LOOKED_AT).subquery()
    query = select(leading.c.thing_id)
    rest = [(word, False) for word in whole[1:]] + ([(unfinished, True)] if whole and unfinished else [])
    for word, prefix in rest:
        row = aliased(SearchWord)
        matches = _begins(row, word) if prefix else row.word == word
        query = query.where(
            exists().where(
                row.kind == kind, row.at == leading.c.at, row.thing_id == leading.c.thing_id, matches
            )
        )
    found = session.scalars(
        query.order_by(leading.c.at.desc(), leading.c.thing_id.desc()).limit(CANDIDATES * 2)
    )
    return list(dict.fromkeys(found))[:CANDIDATES]  # a thing may hold two words with the same beginning


def _rarity(session: Session, kind: str, word: str) -> int:
    some = (
        select(_words.c.word).where(_words.c.word == word, _words.c.kind == kind).limit(LOOKED_AT).subquery()
    )
    return session.scalar(select(func.count()).select_from(some)) or 0


def _beginning(kind: str, beginning: str) -> Any:
    """Rows of words with a beginning, as many as are worth sorting: the last words' first, and of each the newest."""
    row = aliased(SearchWord)
    order = (row.word.desc(), row.kind.desc(), row.at.desc(), row.thing_id.desc())  # as its index has it
    some = select(row).where(_begins(row, beginning), row.kind == kind).order_by(*order).limit(SORTED)
    return aliased(SearchWord, some.subquery())


def _begins(row: Any, beginning: str) -> ColumnElement[bool]:
    between: ColumnElement[bool] = row.word.between(beginning, beginning + LAST_CHARACTER)
    return between


def _add(found: dict[UUID, Hit], session: Session, query: Select[Any], because: str, limit: int) -> None:
    for row in session.execute(query.limit(limit)):
        told = row._mapping
        kind = "incident" if "key" in told else "alert"
        hit = Hit(kind, row.id, told.get("key"), row.title, row.severity, row.created_at, because)
        found.setdefault(row.id, hit)
