"""Feed the search box: the words of incidents when they change, of alerts a little later, off the hot path."""

import re
import unicodedata
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select

from core import bulk
from core.db import UnitOfWork
from core.journal import Entry
from core.outbox import subscriber
from incidents.models import Alert, Attachment, Comment, Incident, ReporterMessage, SearchWord

MAX_WORDS = 400
MAX_WORD = 64
_WORD = re.compile(r"[^\W_]+(?:[.\-][^\W_]+)*")
_words: Any = SearchWord.__table__
_alerts: Any = Alert.__table__
_INDEXED = tuple(
    _alerts.c[name]
    for name in ("id", "created_at", "entities", "title", "rule_name", "rule_id", "external_id", "tags")
)


def tokens_of(text: str) -> list[str]:
    """The words of a text, folded, without accents, at most 64 characters, each once: fs-zrh-01 is one."""
    return list(dict.fromkeys(match.group()[:MAX_WORD] for match in _WORD.finditer(_folded(text[:20_000]))))


def words_of(*texts: str | None) -> list[str]:
    """The words of some texts as they are indexed: each word, and its parts too (fs-zrh-01: also fs, zrh and 01)."""
    found: dict[str, None] = {}
    for text in texts:
        for word in tokens_of(text or ""):
            found[word] = None
            for part in re.split(r"[.\-]", word):
                found[part] = None
            if len(found) >= MAX_WORDS:
                return list(found)[:MAX_WORDS]
    return list(found)


BITE = 100  # alerts in one transaction: nobody waits long for SQLite's only writer


def index_alerts(uow: UnitOfWork, limit: int = BITE) -> int:
    """Make up to `limit` new or changed alerts findable; returns how many."""
    query = (
        select(*_INDEXED).where(_alerts.c.indexed_at.is_(None)).order_by(_alerts.c.created_at).limit(limit)
    )
    alerts = uow.execute(query.with_for_update(skip_locked=True)).all()
    bulk.update(uow, _alerts, [{"id": alert.id, "indexed_at": uow.now} for alert in alerts])
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
    notes = uow.scalars(
        select(Comment.body).where(Comment.incident_id == incident_id).order_by(Comment.created_at)
    )
    talked = uow.scalars(
        select(ReporterMessage.body)
        .where(ReporterMessage.incident_id == incident_id)
        .order_by(ReporterMessage.id)
        .limit(100)
    )
    files = uow.scalars(
        select(Attachment.name)
        .where(Attachment.incident_id == incident_id)
        .order_by(Attachment.id)
        .limit(100)
    )
    words = words_of(
        incident.key, incident.title, *incident.tags, *incident.techniques, incident.summary, incident.root_cause,
        incident.description, *notes, *talked, *files,
    )  # fmt: skip
    uow.execute(delete(_words).where(_words.c.kind == "incident", _words.c.thing_id == incident_id))
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    _collect(rows, "incident", incident.id, incident.created_at, words)
    _store(uow, rows)


@subscriber(
    "incidents.search",
    verbs=[
        "incident.opened",
        "incident.changed",
        "incident.closed",
        "comment.added",
        "comment.edited",
        "attachment.added",
        "reporter.wrote",
        "reporter.answered",
    ],
)
def _index(uow: UnitOfWork, entry: Entry) -> None:
    if incident := entry.ref("incident"):
        index_incident(uow, UUID(incident))


def _collect(
    rows: dict[tuple[Any, ...], dict[str, Any]], kind: str, of: UUID, at: datetime, words: Iterable[str]
) -> None:
    for word in words:
        rows[word, of] = {"word": word, "kind": kind, "at": at, "thing_id": of}


def _store(uow: UnitOfWork, rows: dict[tuple[Any, ...], dict[str, Any]]) -> None:
    bulk.insert(uow, _words, [rows[place] for place in sorted(rows)], "ON CONFLICT DO NOTHING")


def _folded(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.replace("\x00", " "))
    return "".join(c for c in plain if not unicodedata.combining(c)).casefold()
