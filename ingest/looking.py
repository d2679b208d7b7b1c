"""Finds, in a delivery that may hold many events, the one that became an alert."""

import json
from collections.abc import Mapping
from typing import Any

from connectors import bodies, mapping
from connectors.contract import Connector, Unreadable
from connectors.mapping import AlertMapping

MOST_TRIED = 300
MOST_SHOWN = 16_384


def event_of(
    product: Connector, body: bytes, config: Mapping[str, Any], *, title: str, external_id: str | None
) -> tuple[str, bool]:
    """The event in a body that reads as an alert of this title and number, as text for reading, and whether it is cut.

    The body itself when none of its first 300 events does, or when it is not JSON.
    """
    found: Any = None
    for event in _events(product, body):
        try:
            drafts = mapping.read(product, json.dumps(event).encode(), "application/json", {}, config).drafts
        except (
            Unreadable,
            ValueError,
            TypeError,
            LookupError,
            AttributeError,
            RecursionError,
            OverflowError,
        ):
            continue  # what cannot be read is told where it was set aside
        if any(draft.title[:500] == title and draft.external_id == external_id for draft in drafts):
            found = event
            break
    if found is None:
        text = body[: MOST_SHOWN + 1].decode("utf-8", "replace")
    else:
        text = json.dumps(found, indent=2, ensure_ascii=False)
    return text[:MOST_SHOWN], len(text) > MOST_SHOWN


def _events(product: Connector, body: bytes) -> list[Any]:
    reader = product.alerts
    if isinstance(reader, AlertMapping) and reader.parse_line is not None:
        return []
    try:
        values, _problems = bodies.events_of_json(body)
    except (Unreadable, RecursionError):
        return []
    flat = [entry for value in values for entry in (value if isinstance(value, list) else [value])]
    if len(flat) == 1 and isinstance(reader, AlertMapping):
        inner = [event for event, _root in bodies.unwrap(flat[0], reader.wrappers)]
        flat = inner if len(inner) > 1 else flat
    return flat[:MOST_TRIED]
