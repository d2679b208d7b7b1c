"""Deliveries as the door stores them, and everything that is kept of them anywhere."""

import json
from typing import Any
from uuid import UUID

from sqlalchemy import inspect, text

from core.db import reading
from ingest import storing
from ingest.models import Delivery, Source
from ingest.storing import Arrival, body_key


def deliver(source: Source, body: object, content_type: str = "application/json", **kwargs: Any) -> Delivery:
    """Store one delivery as the door does."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    arrival = Arrival(
            source_id=source.id, body=raw, content_type=content_type, headers={},
            key=kwargs.pop("key", body_key(raw)), **kwargs,
        )  # fmt: skip
    storing.store([arrival])
    return row(arrival.id)


def row(delivery_id: UUID) -> Delivery:
    with reading() as session:
        return session.get_one(Delivery, delivery_id)


def everything_kept() -> bytes:
    """All rows of all tables, as one text."""
    with reading() as session:
        names = inspect(session.connection()).get_table_names()
        rows = [tuple(row) for name in names for row in session.execute(text(f'SELECT * FROM "{name}"'))]
    return b"\n".join(
        bytes(cell) if isinstance(cell, bytes | memoryview) else str(cell).encode()
        for row in rows
        for cell in row
    )
