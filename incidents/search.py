"""The one search box: an exact key, an address, hash, host or user, or words in titles; only what the reader may see."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, delete, exists, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session, aliased

from connectors.entities import classify, normalise, refang
from core.actors import Actor
from core.db import UnitOfWork, is_postgres
from core.journal import Entry
from core.outbox import subscriber
from incidents import keys
from incidents.models import Alert, Comment, Incident, SearchWord, Sighting
from incidents.observables import observable_id
from incidents.visibility import alerts_visible_to, visible_to

MAX_WORDS = 400
MAX_WORD = 64
MIN_PREFIX = 3
LAST_CHARACTER = "\U0010ffff"
_WORD = re.compile(r"[^\W_]+(?:[.\-][^\W_]+)*")
_words: Any = SearchWord.__table__
_alerts: Any = Alert.__table__


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


def words_of(*texts: str | None) -> list[str]:
    """The words of some texts as they are indexed: folded, without accents, at most 64 characters, each once."""
    found: dict[str, None] = {}
    for text in texts:
        for match in _WORD.finditer(_folded(text or "")[:20_000]):
            word = match.group()
            found[word[:MAX_WORD]] = None
            for part in re.split(r"[.\-]", word):
                found[part[:MAX_WORD]] = None
            if len(found) >= MAX_WORDS:
                return list(found)[:MAX_WORDS]
    return list(found)


def search(session: Session, actor: Actor, text: str, *, limit: int = 30) -> list[Hit]:
    """What the text means to this reader, best first: the incident of a key, what saw a value, what holds all words."""
    text = text.strip()[:500]
    if not text:
        return []
    found: dict[UUID, Hit] = {}
    if key := keys.read(text):
        _add(found, session, _incidents(actor).where(Incident.key == key), "key", limit)
    for kind, value in meanings(text):
        of = observable_id(kind, value)
        because = f"{kind} {value}"
        seen = exists().where(Sighting.observable_id == of, Sighting.incident_id == Incident.id)
        _add(found, session, _incidents(actor).where(seen), because, limit)
        seen = exists().where(Sighting.observable_id == of, Sighting.alert_id == Alert.id)
        _add(found, session, _alert_hits(actor).where(seen), because, limit)
    if words := words_of(text)[:8]:
        for kind, query, model in (("incident", _incidents(actor), Incident), ("alert", _alert_hits(actor), Alert)):
            _add(found, session, _with_words(query, kind, model, words, text), "words", limit)
    return list(found.values())[:limit]


def index_alerts(uow: UnitOfWork, limit: int = 500) -> int:
    """Make up to 500 new or changed alerts findable; returns how many."""
    query = select(Alert).where(Alert.indexed_at.is_(None)).order_by(Alert.created_at).limit(limit)
    alerts = uow.scalars(query.with_for_update(skip_locked=True)).all()
    if not alerts:
        return 0
    ids = [alert.id for alert in alerts]
    uow.execute(
        update(_alerts).where(_alerts.c.id.in_(ids)).values(indexed_at=uow.now),
        execution_options={"synchronize_session": False},
    )
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for alert in alerts:
        named = [entity["value"] for entity in alert.entities[:50]]
        words = words_of(alert.title, alert.rule_name, alert.rule_id, alert.external_id, *alert.tags, *named)
        _collect(rows, "alert", alert.id, alert.created_at, words)
    _store(uow, rows)
    return len(alerts)


def index_incident(uow: UnitOfWork, incident_id: UUID) -> None:
    """Make an incident findable by the words it has now."""
    incident = uow.get(Incident, incident_id)
    if incident is None:
        return
    notes = uow.scalars(select(Comment.body).where(Comment.incident_id == incident_id).order_by(Comment.created_at))
    words = words_of(
        incident.key, incident.title, *incident.tags, *incident.techniques, incident.summary, incident.root_cause,
        incident.description, *notes,
    )  # fmt: skip
    uow.execute(delete(_words).where(_words.c.kind == "incident", _words.c.thing_id == incident_id))
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    _collect(rows, "incident", incident.id, incident.created_at, words)
    _store(uow, rows)


@subscriber(
    "incidents.search",
    verbs=["incident.opened", "incident.changed", "incident.closed", "comment.added", "comment.edited"],
)
def _index(uow: UnitOfWork, entry: Entry) -> None:
    if incident := entry.ref("incident"):
        index_incident(uow, UUID(incident))


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


def _incidents(actor: Actor) -> Select[Any]:
    columns: list[Any] = [Incident.id, Incident.key, Incident.title, Incident.severity, Incident.created_at]
    return select(*columns).where(visible_to(actor)).order_by(Incident.created_at.desc(), Incident.id.desc())


def _alert_hits(actor: Actor) -> Select[Any]:
    columns: list[Any] = [Alert.id, Alert.title, Alert.severity, Alert.created_at]
    return select(*columns).where(alerts_visible_to(actor)).order_by(Alert.created_at.desc(), Alert.id.desc())


def _with_words(query: Select[Any], kind: str, model: Any, words: Sequence[str], text: str) -> Select[Any]:
    """Things that hold every word; the last one may be unfinished, as while typing. The longest whole word leads."""
    unfinished = words[-1] if not text.endswith(" ") and len(words[-1]) >= MIN_PREFIX else None
    whole = sorted((word for word in words if word != unfinished), key=len, reverse=True)
    leading = aliased(SearchWord)
    query = query.join(leading, (leading.thing_id == model.id) & (leading.kind == kind))
    if whole:
        query = query.where(leading.word == whole[0])
    else:
        assert unfinished is not None
        query = query.where(leading.word.between(unfinished, unfinished + LAST_CHARACTER))
    query = query.order_by(None).order_by(leading.at.desc(), leading.thing_id.desc())
    rest = [(word, False) for word in whole[1:]] + ([(unfinished, True)] if whole and unfinished else [])
    for word, prefix in rest:
        row = aliased(SearchWord)
        matches = row.word.between(word, word + LAST_CHARACTER) if prefix else row.word == word
        query = query.where(exists().where(row.thing_id == model.id, row.kind == kind, row.at == leading.at, matches))
    return query


def _add(found: dict[UUID, Hit], session: Session, query: Select[Any], because: str, limit: int) -> None:
    for row in session.execute(query.limit(limit * 2)):  # a thing may be found twice
        told = row._mapping
        kind = "incident" if "key" in told else "alert"
        hit = Hit(kind, row.id, told.get("key"), row.title, row.severity, row.created_at, because)
        found.setdefault(row.id, hit)


def _collect(rows: dict[tuple[Any, ...], dict[str, Any]], kind: str, of: UUID, at: datetime, words: Iterable[str]) -> None:
    for word in words:
        rows[word, of] = {"word": word, "kind": kind, "at": at, "thing_id": of}


def _store(uow: UnitOfWork, rows: dict[tuple[Any, ...], dict[str, Any]]) -> None:
    if rows:
        insert = (postgresql.insert if is_postgres(uow) else sqlite.insert)(_words)
        uow.execute(insert.on_conflict_do_nothing(), [rows[place] for place in sorted(rows)])


def _folded(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.replace("\x00", " "))
    return "".join(c for c in plain if not unicodedata.combining(c)).casefold()


