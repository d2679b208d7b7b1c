"""Take in a batch of understood alerts: same alert → count, new alert → row, group of alerts → incident."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from connectors.contract import AlertDraft
from core import journal, telemetry
from core.actors import Actor
from core.db import UnitOfWork
from core.journal import Fact
from core.types import Ref, Severity
from incidents import addresses, alert_rows, attaching, containment, facts, hiding, milestones, observables, rules
from incidents.alert_rows import IncidentState, SourceFacts
from incidents.attaching import Case
from incidents.episodes import Episode, Habits, Item, fold
from incidents.fingerprint import fingerprint, identifying_fields

__all__ = ["Accepted", "SourceFacts", "accept"]

_TOLD = 20


@dataclass(frozen=True)
class Accepted:
    """What became of one draft.

    outcome: new, counted, recurred (again after its incident was closed), resolved, or stale (a resolve of an
    earlier episode than the one that is open).
    """

    alert_id: UUID
    incident_id: UUID | None
    outcome: str


def accept(
    uow: UnitOfWork,
    actor: Actor,
    source: SourceFacts,
    items: Sequence[tuple[AlertDraft, UUID | None, datetime]],
) -> list[Accepted]:
    """Store a batch of drafts of one source and do to incidents what the rules say; one result per draft, in order.

    `items` are (draft, delivery id, received at), in the order they arrived. Two workers may take in batches of the
    same source at once: neither two open rows of an alert nor two open incidents of a group can come of it.
    """
    grouped: dict[str, list[Item]] = {}
    for place, (draft, delivery_id, received_at) in enumerate(items):
        grouped.setdefault(_fingerprint(draft), []).append(Item(place, draft, delivery_id, received_at))
    ruleset = rules.active(uow)
    ignored = hiding.in_force(uow, source.id)
    in_force = frozenset(one.id for one in ignored)
    habits = Habits(source.quiet_after, ruleset.thresholds, source.learning, in_force)
    episodes, states = _store(uow, source, dict(sorted(grouped.items())), habits)
    outcome = attaching.place(uow, source, ruleset, episodes, states, ignored)
    alert_rows.save(uow, [e for e in episodes if e.stored and e.touched])
    alert_rows.link_deliveries(uow, episodes)
    hiding.count(uow, episodes)
    observables.note(uow, _sightings(source, episodes))
    addresses.learn(uow, alert_rows.scoped(source, ""), source.trust, episodes)
    _record(uow, actor, source, episodes, outcome.cases)
    rules.report(uow, outcome.failures)
    containment.doubt(uow, actor, episodes)
    by_place = {item.place: (item, episode) for episode in episodes for item in episode.items}
    return [
        Accepted(episode.id, episode.incident_id, item.outcome)
        for item, episode in (by_place[place] for place in range(len(items)))
    ]


def _fingerprint(draft: AlertDraft) -> str:
    fallback = [
        ("title", draft.title),
        ("rule", draft.rule_id),
        *((e.type, e.value) for e in draft.entities[:20]),
    ]
    return fingerprint(identifying_fields(draft.fingerprint, fallback=fallback))


def _store(
    uow: UnitOfWork, source: SourceFacts, grouped: dict[str, list[Item]], habits: Habits
) -> tuple[list[Episode], dict[UUID, IncidentState]]:
    """Fold every group into its episodes and insert the new ones.

    A group that another worker was faster with is folded again onto that worker's row.
    """
    done: list[Episode] = []
    states: dict[UUID, IncidentState] = {}
    while grouped:
        current = alert_rows.load_open(uow, source.id, list(grouped))
        last = alert_rows.load_last(uow, source.id, [name for name in grouped if name not in current])
        states |= alert_rows.incident_states(uow, [*current.values(), *last.values()])
        folded = {
            name: fold(name, current.get(name), last.get(name), items, habits)
            for name, items in grouped.items()
        }
        everything = [episode for episodes in folded.values() for episode in episodes]
        alert_rows.end(uow, [e for e in everything if e.stored and e.ended_at is not None])
        alert_rows.insert(uow, source, [e for e in everything if not e.stored and e.open])
        again = {e.fingerprint for e in everything if not e.stored and e.open}
        alert_rows.insert(
            uow, source, [e for e in everything if not e.stored and not e.open and e.fingerprint not in again]
        )
        done += [episode for episode in everything if episode.fingerprint not in again]
        grouped = {name: items for name, items in grouped.items() if name in again}
    return done, states


def _sightings(source: SourceFacts, episodes: Sequence[Episode]) -> list[observables.Seen]:
    seen = []
    for episode in episodes:
        at = episode.last_seen or episode.items[0].received_at
        noted = list(episode.entities) if episode.decide else episode.new_entities
        for kind, value, role in noted:
            seen.append(observables.Seen(kind, value, role, episode.id, episode.incident_id, at, source.name))
            if episode.incident_id is not None:
                seen.append(observables.Seen(kind, value, role, None, episode.incident_id, at, source.name))
    return seen


def _record(
    uow: UnitOfWork, actor: Actor, source: SourceFacts, episodes: Sequence[Episode], cases: Sequence[Case]
) -> None:
    for case in cases:
        receipt = _receipt([*case.attached, *case.worse])
        with telemetry.doing("open" if case.new else "attach", receipt, incident=case.id, key=case.key):
            _record_case(uow, actor, source, case)
    for episode in episodes:
        if episode.decide or episode.ended_now:
            with telemetry.doing("process", _receipt([episode]), alert=episode.id, source=source.name):
                _record_episode(uow, actor, source, episode)


def _receipt(episodes: Sequence[Episode]) -> str | None:
    """The delivery that tipped it: what follows is tied to its receipt."""
    found = [
        item.delivery_id for episode in episodes for item in episode.items if item.delivery_id is not None
    ]
    return str(found[-1]) if found else None


def _record_case(uow: UnitOfWork, actor: Actor, source: SourceFacts, case: Case) -> None:
    if case.new:
        _record_opening(uow, actor, source, case)
    elif case.attached:
        _record_attaching(uow, actor, case)
    if case.gathers is not None:
        _record_storm(uow, actor, source, case)
    if case.raised_from is not None and not case.new:
        body = {
            "from": case.raised_from.value,
            "to": case.severity.value,
            "late": case.late,
            "learning": case.learning,
        }
        journal.record(uow, actor, Fact(facts.SEVERITY_RAISED, (Ref("incident", str(case.id)),), body))
    if case.became_live:
        refs = (Ref("incident", str(case.id)),)
        journal.record(uow, actor, Fact(facts.INCIDENT_BECAME_LIVE, refs, {"key": case.key}))
    for episode in case.worse:
        if episode.reasons:
            _record_escalation(uow, actor, case, episode)


def _record_episode(uow: UnitOfWork, actor: Actor, source: SourceFacts, episode: Episode) -> None:
    if episode.decide:
        _record_alert(uow, actor, source, episode)
    if episode.ended_now and episode.incident_id is not None:
        refs = (Ref("alert", str(episode.id)), Ref("incident", str(episode.incident_id)))
        body = {"by": episode.ended_by, "count": episode.count}
        journal.record(uow, actor, Fact(facts.ALERT_ENDED, refs, body))


def _record_opening(uow: UnitOfWork, actor: Actor, source: SourceFacts, case: Case) -> None:
    assert case.opener is not None
    body = {
        "key": case.key, "kind": "incident", "severity": case.severity.value, "category": case.category,
        "late": case.late, "learning": case.learning, "trust": case.trust, "source": source.name, "rule": case.rule,
        "exercise": case.exercise,
        "recurrence": case.recurrence_of is not None, "alerts": len(case.attached),
    }  # fmt: skip
    # Which closed incident it recurs from is told by alert.recurred, which names it among its refs: not every reader of
    # this one may know of that one.
    refs = (Ref("incident", str(case.id)), *_alert_refs(case))
    journal.record(
        uow, actor, Fact(facts.INCIDENT_OPENED, refs, body, {"title": case.title, "why": case.why})
    )
    milestones.project(
        uow, case.id, "alerted", min(e.first_seen or uow.now for e in case.attached), "alert", source.name
    )
    if case.opener.occurred_at is not None:
        milestones.project(uow, case.id, "occurred", case.opener.occurred_at, "alert", source.name)


def _record_storm(uow: UnitOfWork, actor: Actor, source: SourceFacts, case: Case) -> None:
    refs = (Ref("incident", str(case.id)), Ref("source", str(source.id)))
    body = {"source": source.name, "critical": case.severity == Severity.critical}
    journal.record(uow, actor, Fact(facts.STORM_GATHERED, refs, body, {"why": case.gathers}))


def _record_attaching(uow: UnitOfWork, actor: Actor, case: Case) -> None:
    told = [{"id": str(e.id), "title": _title(e), "why": e.why} for e in case.attached[:_TOLD]]
    body = {"count": len(case.attached), "late": all(e.late for e in case.attached)}
    refs = (Ref("incident", str(case.id)), *_alert_refs(case))
    journal.record(uow, actor, Fact(facts.ALERT_ATTACHED, refs, body, {"alerts": told}))


def _record_escalation(uow: UnitOfWork, actor: Actor, case: Case, episode: Episode) -> None:
    body = {"count": episode.count, "severity": episode.severity.value, "late": episode.late}
    refs = (Ref("alert", str(episode.id)), Ref("incident", str(case.id)))
    journal.record(uow, actor, Fact(facts.ALERT_ESCALATED, refs, body, {"reasons": episode.reasons[:_TOLD]}))


def _record_alert(uow: UnitOfWork, actor: Actor, source: SourceFacts, episode: Episode) -> None:
    refs = [Ref("alert", str(episode.id)), Ref("source", str(source.id))]
    if episode.recurrence_of is not None:
        refs.append(Ref("incident", str(episode.recurrence_of)))  # the closed one: its readers want to know
    body = {
        "severity": episode.severity.value, "late": episode.late, "learning": episode.learning, "source": source.name,
        "rule": episode.rule,
        "incident": str(episode.incident_id) if episode.incident_id else None,
    }  # fmt: skip
    verb = facts.ALERT_RECURRED if episode.recurrence_of is not None else facts.ALERT_OPENED
    journal.record(uow, actor, Fact(verb, tuple(refs), body, {"title": _title(episode), "why": episode.why}))


def _alert_refs(case: Case) -> list[Ref]:
    return [Ref("alert", str(episode.id)) for episode in case.attached[:_TOLD]]


def _title(episode: Episode) -> str:
    return episode.items[-1].draft.title[:500] if episode.items else ""
