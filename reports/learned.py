"""What a report tells of the attacker and of the look back: findings, points, actions, evidence, messages to reporters."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from connectors.entities import defang
from core import access
from core.access import Access
from core.actors import Actor
from incidents import attachments, follow_ups, reporting
from incidents import findings as record
from incidents import reviewing
from incidents.models import FollowUp as FollowUpRow
from incidents.models import Incident
from incidents.observables import Listed
from incidents.verdicts import Standing
from incidents.visibility import belongs_to_visible
from reports.model import Decision, Evidence, Finding, FollowUp, Observable, Point
from reports.told_model import Message, Shared
from reports.telling import clipped

MOST_FETCHED = 2000
ALL = "all indicators"
"""What stands for the values where all that the incident held were shared."""


def findings(session: Session, actor: Actor, incident_id: UUID) -> tuple[Finding, ...]:
    """What the attacker did, in the order it happened; a file that shows it is named as in the evidence register."""
    files: dict[UUID | None, str] = {
        row.id: f"E{number}"
        for number, row in enumerate(attachments.of_incident(session, actor, incident_id), 1)
    }
    return tuple(
        Finding(
            f"A{number}", row.occurred_at, row.precision, row.says, row.source, row.confidence, row.technique,
            tuple(defang(str(one["type"]), str(one["value"])) for one in row.entities),
            " · ".join(filter(None, (files.get(row.attachment_id, ""), row.evidence))), row.changed_by or row.added_by,
        )
        for number, row in enumerate(record.every(session, actor, incident_id), 1)
    )  # fmt: skip


def indicator(
    one: Listed, shown: str, acted: str, judged: Standing | None, shared: Sequence[Shared]
) -> Observable:
    """A value with its verdict and with whom it was shared; `shown` is the value defanged."""
    told = tuple(
        f"{share.to} (TLP:{share.tlp.upper()})" for share in shared if share.at and share.what in (shown, ALL)
    )
    made = Observable(
        one.type, one.value, shown, one.roles, one.first_seen, one.last_seen, one.others, acted, shared=told
    )
    if judged is None:
        return made
    return replace(
        made, verdict=judged.verdict, verdict_by=judged.by, verdict_at=judged.at, proposed=judged.proposed,
        verdict_says=" · ".join(filter(None, (judged.says, "" if judged.proposed else judged.look_up))),
    )  # fmt: skip


def points(session: Session, actor: Actor, incident_id: UUID) -> tuple[Point, ...]:
    """The points of its review, oldest first."""
    return tuple(
        Point(row.section, row.created_at, row.area, row.state, row.says, row.result, row.how, row.who, row.added_by, row.options)
        for row in reviewing.of_incident(session, actor, incident_id)
    )  # fmt: skip


def decided(review: tuple[Point, ...]) -> tuple[Decision, ...]:
    """The decisions that were written down in the review."""
    return tuple(
        Decision(
            point.at, point.says, point.result or "not said", point.who, None,
            tuple(filter(None, map(str.strip, point.options.splitlines()))), point.how,
        )
        for point in review
        if point.section == "decision"
    )  # fmt: skip


def questions(review: tuple[Point, ...]) -> tuple[str, ...]:
    """The open questions of the review."""
    return tuple(
        f"Question: {point.says}{f' ({point.how})' if point.how else ''}"
        for point in review
        if point.section == "question"
    )


def actions(
    session: Session, actor: Actor, incident: Incident, names: Mapping[UUID, str], now: datetime
) -> tuple[FollowUp, ...]:
    """The actions for afterwards, oldest first."""
    return tuple(
        _action(row, names, now, None) for row in follow_ups.of_incident(session, actor, incident.id)
    )


def earlier(
    session: Session, actor: Actor, incident: Incident, names: Mapping[UUID, str], now: datetime
) -> tuple[FollowUp, ...]:
    """What earlier incidents of the same kind have still open."""
    return tuple(
        _action(one.row, names, now, one.key) for one in follow_ups.earlier(session, actor, incident)
    )


def evidence(session: Session, actor: Actor, incident_id: UUID) -> tuple[Evidence, ...]:
    """The files of an incident, each with who has fetched or read it."""
    fetched: defaultdict[str, list[tuple[datetime, str, str]]] = defaultdict(list)
    for entry in access.log(
        session,
        belongs_to_visible(actor, Access.within),
        Access.within == incident_id,
        Access.thing_kind == "attachment",
        limit=MOST_FETCHED,
    ):
        fetched[entry.thing_id].append((entry.at, entry.actor_name, entry.doing))
    return tuple(
        Evidence(
            f"E{number}", row.name, row.kind, row.size, row.digest, row.created_at, row.added_by_name, row.origin, row.note,
            tuple(sorted(fetched[str(row.id)])),
        )
        for number, row in enumerate(attachments.of_incident(session, actor, incident_id), 1)
    )  # fmt: skip


def messages(session: Session, actor: Actor, incident_id: UUID) -> tuple[Message, ...]:
    """What those who reported it were told, oldest first."""
    names = {row.id: row.name for row in reporting.reporters(session, actor, incident_id)}
    return tuple(
        Message(row.created_at, names.get(row.reporter_id) or "a reporter", row.by_name, row.via, clipped(row.body))
        for row in reporting.conversation(session, actor, incident_id)
        if not row.inward
    )  # fmt: skip


def _action(row: FollowUpRow, names: Mapping[UUID, str], now: datetime, key: str | None) -> FollowUp:
    late = row.state == "open" and row.due_at is not None and row.due_at < now
    owner = names.get(row.owner_id) if row.owner_id else None
    return FollowUp(
        row.title, owner, row.due_at, late, defang("url", row.link), row.state, row.ended_at, row.ended_by, row.note, key
    )  # fmt: skip
