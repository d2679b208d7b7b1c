"""What is thought of a value: a person's verdict, or the one that a look-up's answer proposes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors.models import ActionCall
from core import journal
from core.actors import Actor
from core.auth import permissions
from core.db import UnitOfWork
from core.errors import Invalid, NotFound, Problem
from core.ids import new_id
from core.journal import Fact
from core.types import Ref
from incidents import facts, observables
from incidents.lifecycle import locked
from incidents.permissions import EDIT
from incidents.models import Observable
from incidents.verdict_models import Verdict
from incidents.visibility import belongs_to_visible

MOST = 20_000
"""So many verdicts one incident may hold, corrections included."""
MOST_CALLS = 2000
ENGINES = 3
"""One or two engines of dozens that say “malicious” are wrong too often: of a count, so many propose it."""
_SAID = 1000


class Judged(StrEnum):
    """What a value may be called."""

    malicious = "malicious"
    suspicious = "suspicious"
    harmless = "harmless"
    unknown = "unknown"


_WORDS = {
    "malicious": Judged.malicious, "malware": Judged.malicious, "phishing": Judged.malicious, "bad": Judged.malicious,
    "suspicious": Judged.suspicious, "unwanted": Judged.suspicious,
    "harmless": Judged.harmless, "benign": Judged.harmless, "clean": Judged.harmless, "trusted": Judged.harmless,
}  # fmt: skip
_SAYING = ("verdict", "classification", "reputation", "threat_level", "category")


@dataclass(frozen=True)
class Standing:
    """What holds of a value now: by a person, or (proposed) by a look-up that nobody has judged yet.

    says: the reason a person gave, or the part of the answer that it follows from. look_up: the action, "" for none.
    """

    verdict: str
    by: str
    at: datetime
    says: str
    look_up: str
    call_id: UUID | None
    proposed: bool


def judge(
    uow: UnitOfWork,
    actor: Actor,
    incident_id: UUID,
    observable_id: UUID,
    verdict: str,
    *,
    because: str = "",
    call_id: UUID | None = None,
) -> Verdict:
    """Say what a value of an incident is; what was said before stays on record.

    call_id: the look-up that it follows. Raises NotFound when the incident has no such value or look-up, Invalid.
    """
    permissions.require(actor, EDIT.name)
    incident = locked(uow, actor, incident_id)
    if verdict not in set(Judged):
        said = f"It must be one of {', '.join(Judged)}."
        raise Invalid(said, [Problem("verdict", said)])
    if not observables.of_incident(uow, actor, incident.id, only=observable_id):
        raise NotFound("This incident has no such observable.")
    call = uow.get(ActionCall, call_id) if call_id else None
    if call_id and (call is None or call.subject != incident.ref):
        raise NotFound("Nothing was looked up by this call for this incident.")
    value = uow.get(Observable, observable_id)
    assert value is not None
    row = Verdict(
        id=new_id(), created_at=uow.now, incident_id=incident.id, observable_id=observable_id, verdict=str(verdict),
        because=because.replace("\x00", "\ufffd").strip()[:_SAID], call_id=call_id,
        look_up=(call.action or call.asked)[:100] if call else "", by=actor.name,
    )  # fmt: skip
    uow.add(row)
    uow.flush()
    told = {"value": value.value, "result": row.verdict, **({"reason": row.because} if row.because else {})}
    refs = (incident.ref, Ref("observable", str(observable_id)))
    body = {"type": value.type, "verdict": row.verdict, **({"look_up": row.look_up} if call else {})}
    journal.record(uow, actor, Fact(facts.OBSERVABLE_JUDGED, refs, body, told))
    return row


def of_incident(session: Session, actor: Actor, incident_id: UUID) -> dict[UUID, Standing]:
    """What holds of each value of an incident, by the value's id; values of which nothing was said are not in it."""
    found = _proposed(session, actor, incident_id)
    query = (
        select(Verdict)
        .where(Verdict.incident_id == incident_id, belongs_to_visible(actor, Verdict.incident_id))
        .order_by(Verdict.id)
        .limit(MOST)
    )
    for row in session.scalars(query):
        found[row.observable_id] = Standing(
            row.verdict, row.by, row.created_at, row.because, row.look_up, row.call_id, proposed=False
        )
    return found


def answered(output: Mapping[str, Any] | None) -> tuple[Judged, str] | None:
    """The verdict that a look-up's answer proposes, with the part that says so; None when it says nothing of the kind."""
    given = output or {}
    if given.get("found") is False:
        return Judged.unknown, "not known there"
    for name in _SAYING:
        word = given.get(name)
        if isinstance(word, str) and (known := _WORDS.get(word.strip().casefold())):
            return known, f"{name}: {word.strip()[:60]}"
    if given.get("malicious") is True:
        return Judged.malicious, "malicious: yes"
    counts = {word: _count(given.get(word)) for word in ("malicious", "suspicious", "harmless")}
    told = ", ".join(f"{word}: {number}" for word, number in counts.items() if number is not None)
    malicious, suspicious, harmless = (number or 0 for number in counts.values())
    if not told:
        return None
    if malicious >= ENGINES:
        return Judged.malicious, told
    if malicious or suspicious:
        return Judged.suspicious, told
    return (Judged.harmless if harmless else Judged.unknown), told


def _count(number: object) -> int | None:
    return number if isinstance(number, int) and not isinstance(number, bool) else None


def _proposed(session: Session, actor: Actor, incident_id: UUID) -> dict[UUID, Standing]:
    query = (
        select(ActionCall)
        .where(
            ActionCall.subject_kind == "incident", ActionCall.subject_id == str(incident_id),
            ActionCall.effect == "read", ActionCall.state == "succeeded",
        )
        .order_by(ActionCall.id.desc())
        .limit(MOST_CALLS)
    )  # fmt: skip
    found: dict[UUID, Standing] = {}
    for call in _oldest_first(session.scalars(query)):
        told = answered(call.output) if len(call.entities) == 1 else None
        if told is None:
            continue
        ((kind, value),) = call.entities
        name = call.action or call.asked
        found[observables.observable_id(kind, value)] = Standing(
            str(told[0]), name, call.finished_at or call.created_at, told[1], name, call.id, proposed=True
        )
    held = {one.id for one in observables.of_incident(session, actor, incident_id)} if found else set()
    return {of: standing for of, standing in found.items() if of in held}


def _oldest_first(calls: Iterable[ActionCall]) -> list[ActionCall]:
    return list(calls)[::-1]
