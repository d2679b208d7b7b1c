"""Takes secrets out of what was delivered: once reading has shown which values they are, or when a person asks for it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, select, update

from connectors import bodies
from connectors.contract import Unreadable
from core import places
from core.db import UnitOfWork
from core.places import Place
from core.redaction import Redactor
from core.seeking import Seeker
from incidents.models import Alert, AlertDelivery
from ingest import envelopes
from ingest.mail_models import MailIn
from ingest.models import Delivery


@dataclass(frozen=True)
class Kept:
    """What stays of a delivery."""

    body: bytes
    content_type: str
    headers: dict[str, str]


def without(body: bytes, content_type: str, headers: Mapping[str, str], secrets: Redactor) -> Kept:
    """The delivery without the secrets, else as it was sent.

    A secret that is written in a way nobody foresaw (in UTF-16, with escapes for letters) costs the original spelling: the
    delivery is then written anew, as JSON with the same content.
    """
    kept = dict(secrets.value(dict(headers)))
    told = secrets.raw(body)
    try:
        values, _ = bodies.events_of_json(envelopes.form_payload(told, content_type) or told)
        clean = secrets.value(values)
    except (Unreadable, RecursionError):  # lines that are no JSON: their bytes were looked through
        return Kept(told, content_type, kept)
    if clean == values:
        return Kept(told, content_type, kept)
    return Kept("\n".join(json.dumps(one) for one in clean).encode(), "application/json", kept)


def keep(uow: UnitOfWork, delivery_id: UUID, kept: Kept) -> None:
    """Write it in the place of what came; `digest` and `size` stay those of what came."""
    row = update(Delivery).where(Delivery.id == delivery_id)
    changed = row.values(body=kept.body, content_type=kept.content_type, headers=kept.headers)
    uow.execute(changed.execution_options(synchronize_session=False))


def _of(subject: UUID) -> ColumnElement[bool]:
    """The deliveries that an incident's alerts came in."""
    came_in = select(AlertDelivery.delivery_id).join(Alert, Alert.id == AlertDelivery.alert_id)
    return Delivery.id.in_(came_in.where(Alert.incident_id == subject))


def _clean(row: Delivery, values: Redactor) -> bool:
    """Take values out of one; a body that hides them in an encoding nobody can mend goes whole."""
    changed = places.without(row, values)
    if row.body:
        kept = without(row.body, row.content_type, row.headers, values)
        if any(Seeker(value).raw(kept.body) for value in values.values):
            kept = Kept(_GONE, "text/plain", kept.headers)
        if kept.body != row.body:
            row.body, row.content_type, row.headers = kept.body, kept.content_type, kept.headers
            changed = True
    return changed


_GONE = b"[redacted: the body held the value in an encoding out of which it could not be taken]"


places.declare(
    Place("raw deliveries", Delivery, _of, "delivery", clean=_clean),
    Place("lines about mails", MailIn, lambda subject: MailIn.incident_id == subject, "mail"),
)
