"""Turn the rules' verdicts into incidents: open new ones, attach alerts to live ones, in bulk."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select, update

from core import bulk
from core.db import UnitOfWork
from core.ids import new_id
from core.types import Severity
from incidents import addresses, gathering, hiding, keys, repeats, storms
from incidents.alert_rows import IncidentState, SourceFacts, as_judged, scoped
from incidents.episodes import Episode
from incidents.grouping import MAX_SPAN, Candidate, RuleSet, Verdict, chosen
from incidents.hiding import Ignored
from incidents.models import Incident
from incidents.schema import alert_facts
from incidents.stages import NOISE, least_trust
from incidents.storms import Storms, Wish

_incidents: Any = Incident.__table__
_FIRST_WINS = "ON CONFLICT (group_key) WHERE closed_at IS NULL AND group_released_at IS NULL AND group_key IS NOT NULL DO NOTHING"
_MAX_WORDS = 200


@dataclass
class Case:
    """An incident in memory, with what this batch brings to it."""

    id: UUID
    key: str
    title: str
    new: bool
    severity: Severity
    overridden: bool
    late: bool
    learning: bool
    trust: str
    tags: list[str]
    techniques: list[str]
    category: str | None
    group_key: str | None
    group_limit: datetime | None
    group_until: datetime | None = None
    alert_count: int = 0
    version: int = 0
    rule: str | None = None
    why: str | None = None
    recurrence_of: UUID | None = None
    exercise: bool = False
    opener: Episode | None = None
    attached: list[Episode] = field(default_factory=list)
    worse: list[Episode] = field(default_factory=list)
    raised_from: Severity | None = None
    became_live: bool = False
    gathers: str | None = None  # why, from when on a storm's alerts gather in it


@dataclass
class Outcome:
    """What the batch did to incidents, and which rules failed with which sentence."""

    cases: list[Case]
    failures: dict[str, str]


def place(
    uow: UnitOfWork,
    source: SourceFacts,
    rules: RuleSet,
    episodes: Sequence[Episode],
    states: dict[UUID, IncidentState],
    ignored: Sequence[Ignored] = (),
) -> Outcome:
    """Decide for every episode that asks for it; sets its incident, rule, key and why."""
    asking = [e for e in episodes if e.count and (e.decide or (e.reasons and e.incident_id is None))]
    undecided = hiding.hide(asking, ignored)
    homes = addresses.homes(uow, scoped(source, ""), undecided)
    verdicts = {e.id: _verdict(uow, source, rules, e, homes.get(e.fingerprint)) for e in undecided}
    failures = {name: said for verdict in verdicts.values() for name, said in verdict.failures}
    wanted = {scoped(source, c.key) for verdict in verdicts.values() for c in verdict.candidates if c.key}
    wanted |= {scoped(source, _own_key(e)) for e in undecided if e.recurrence_of}
    wanted |= {_storm_key(source, e) for e in undecided if verdicts[e.id].opens or e.recurrence_of}
    known: set[UUID] = {
        e.incident_id for e in episodes if e.incident_id and not e.incident_closed and _tells_more(e)
    }
    known |= {e.same_as for e in undecided if e.same_as}
    cases = _load(uow, wanted, known)
    by_id = {case.id: case for case in cases}
    live = {case.group_key: case for case in cases if case.group_key is not None and case.group_key in wanted}
    fresh: dict[str, Case] = {}
    about = _about_to_open(source, undecided, verdicts, live)
    weather = storms.watch(uow, source.id, source.name, _wishes(about))
    _gather(uow, source, weather, about, live, by_id)
    for episode in undecided:
        _decide(uow, source, episode, verdicts[episode.id], states, by_id, live, fresh, weather)
        if (home := homes.get(episode.fingerprint)) and episode.incident_id is not None:
            episode.why = f"{episode.why}; {home.why()}"
    decided = {episode.id for episode in undecided}
    for episode in episodes:
        if episode.incident_id in by_id and episode.id not in decided and _tells_more(episode):
            assert episode.incident_id is not None
            _worsen(by_id[episode.incident_id], episode)
    _insert(uow, source, fresh, by_id)
    changed = [case for case in by_id.values() if case.attached or case.worse]
    _update(uow, source, [case for case in changed if not case.new])
    return Outcome(changed, failures)


def _tells_more(episode: Episode) -> bool:
    return bool(episode.reasons or episode.new_entities or episode.became_live)


def _verdict(
    uow: UnitOfWork, source: SourceFacts, rules: RuleSet, episode: Episode, home: addresses.Home | None
) -> Verdict:
    row = as_judged(source, episode, episode.items)
    return rules.judge(
        alert_facts(row, list(episode.entities)),
        lambda window: repeats.count_within(episode.history, episode.count, uow.now, window),
        alert_facts(row, addresses.hosted(list(episode.entities), home)) if home is not None else None,
    )


def _own_key(episode: Episode) -> str:
    return f"alert:{episode.fingerprint}"


def _decide(
    uow: UnitOfWork,
    source: SourceFacts,
    episode: Episode,
    verdict: Verdict,
    states: dict[UUID, IncidentState],
    by_id: dict[UUID, Case],
    live: dict[str, Case],
    fresh: dict[str, Case],
    weather: Storms,
) -> None:
    if episode.same_as in by_id:
        case = by_id[episode.same_as]
        episode.why = f"attached: the same alert as before, and {case.key} is still open"
        _attach(uow, case, episode, None)
        return
    candidate = chosen(
        verdict.candidates, lambda key: scoped(source, key) in live or scoped(source, key) in fresh
    )
    before = states.get(episode.recurrence_of) if episode.recurrence_of else None
    if before and before.disposition not in NOISE and (candidate is None or candidate.action == "attach"):
        # What came back after it was dealt with is news, whatever the rules say of a first sight.
        why = f"opened: a recurrence of {before.key}, which is closed"
        candidate = Candidate("open", "Recurrence", _own_key(episode), why, timedelta(minutes=30))
    if candidate is None or candidate.action == "keep":
        episode.rule = candidate.rule if candidate else None
        episode.why = candidate.why if candidate else "kept as an alert: no rule asks for an incident"
        return
    key = scoped(source, candidate.key)
    group = live.get(key) or fresh.get(key)
    critical = episode.severity == Severity.critical
    if group is None and (critical in weather.exceeded or _storm_key(source, episode) in live):
        key = _storm_key(source, episode)
        group = live.get(key) or fresh.get(key)
    episode.rule, episode.group_key = candidate.rule, key
    if group is None:
        episode.why = candidate.why + (
            f"; a recurrence of {before.key}" if before and before.key not in candidate.why else ""
        )
        if storms.is_of_storm(key):
            episode.why += f"; {weather.why(critical)}"
        group = fresh[key] = _open(uow, source, episode, candidate, key)
    elif storms.is_of_storm(key):
        if storms.TAG not in group.tags:
            group.gathers = weather.why(critical)
            group.tags = _joined(group.tags, [storms.TAG])
        episode.why = f"{candidate.why.replace('opened by', 'attached by', 1)}; {weather.why(critical)}"
    else:
        joined = candidate.why.replace("opened by", "attached by", 1)
        episode.why = f"{joined}; same group as {group.key}" if group.key else joined
    _attach(uow, group, episode, candidate)


def _storm_key(source: SourceFacts, episode: Episode) -> str:
    newest = episode.items[-1].draft if episode.items else episode.draft
    assert newest is not None
    critical = episode.severity == Severity.critical
    return scoped(source, storms.key_of(source.id.hex, newest, critical=critical))


def _about_to_open(
    source: SourceFacts,
    undecided: Iterable[Episode],
    verdicts: Mapping[UUID, Verdict],
    live: Mapping[str, Case],
) -> dict[str, list[Episode]]:
    """The groups for which an incident would be opened, were there no storm, and the episodes that ask for it."""
    about: dict[str, list[Episode]] = {}
    for episode in undecided:
        candidate = chosen(verdicts[episode.id].candidates, lambda key: scoped(source, key) in live)
        if candidate is not None and candidate.action == "open":
            key = scoped(source, candidate.key)
        elif episode.recurrence_of is not None:
            key = scoped(source, _own_key(episode))
        else:
            continue
        if key not in live:
            about.setdefault(key, []).append(episode)
    return about


def _wishes(about: Mapping[str, Sequence[Episode]]) -> list[Wish]:
    return [
        Wish(
            min(episode.items[-1].received_at for episode in episodes),
            any(episode.severity == Severity.critical for episode in episodes),
        )
        for episodes in about.values()
    ]


def _gather(
    uow: UnitOfWork,
    source: SourceFacts,
    weather: Storms,
    about: Mapping[str, Sequence[Episode]],
    live: dict[str, Case],
    by_id: dict[UUID, Case],
) -> None:
    """In a storm, find the incident in which each kind gathers, where there is one that may become it."""
    wanted: dict[str, str] = {}
    for episode in (one for episodes in about.values() for one in episodes):
        critical, key = episode.severity == Severity.critical, _storm_key(source, episode)
        if critical in weather.exceeded and key not in live:
            wanted[key] = weather.why(critical)
    if not wanted:
        return
    gathering.adopt(
        uow,
        source,
        wanted,
        lambda kind, critical: scoped(source, storms.key_of_kind(source.id.hex, kind, critical=critical)),
    )
    for found in _load(uow, wanted, set()):
        case = by_id.setdefault(found.id, found)
        if case is not found:  # it was loaded as the group it was before
            live.pop(case.group_key or "", None)
            case.group_key, case.group_limit = found.group_key, found.group_limit
        assert case.group_key is not None
        live[case.group_key] = case


def _open(uow: UnitOfWork, source: SourceFacts, episode: Episode, candidate: Candidate, key: str) -> Case:
    row = as_judged(source, episode, episode.items)
    return Case(
        id=new_id(), key="", title=row["title"], new=True, severity=episode.severity, overridden=False,
        late=episode.late, learning=episode.learning, trust=source.trust, tags=[], techniques=[],
        category=row["category"], group_key=key,
        group_limit=uow.now + max(MAX_SPAN, candidate.window), rule=candidate.rule, why=episode.why,
        recurrence_of=episode.recurrence_of, exercise=row["is_test"], opener=episode,
    )  # fmt: skip


def _attach(uow: UnitOfWork, case: Case, episode: Episode, candidate: Candidate | None) -> None:
    episode.incident_id = case.id
    case.attached.append(episode)
    if candidate is not None and case.group_limit is not None:
        until = min(uow.now + candidate.window, case.group_limit)
        case.group_until = max(until, case.group_until) if case.group_until else until
    _worsen(case, episode, merely_attached=True)


def _worsen(case: Case, episode: Episode, *, merely_attached: bool = False) -> None:
    if not merely_attached:
        case.worse.append(episode)
    if episode.severity.rank > case.severity.rank and not case.overridden:
        if not case.new:
            case.raised_from = case.raised_from or case.severity
        case.severity = episode.severity
    for item in episode.items:
        case.tags = _joined(case.tags, item.draft.tags)
        case.techniques = _joined(case.techniques, item.draft.techniques)
    if case.late and not episode.late:
        case.late, case.became_live = False, not case.new
    if case.learning and not episode.learning:
        case.learning, case.became_live = False, not case.new


def _joined(known: list[str], more: Sequence[str]) -> list[str]:
    if all(word in known for word in more):
        return known
    return list(dict.fromkeys([*known, *more]))[:_MAX_WORDS]


def _load(uow: UnitOfWork, group_keys: Iterable[str], ids: set[UUID]) -> list[Case]:
    """The live groups of these keys and the open incidents of these ids, locked; groups whose time is over are released."""
    keyed = list(group_keys)
    if not keyed and not ids:
        return []
    rows = uow.execute(
        select(_incidents)
        .where(
            _incidents.c.closed_at.is_(None),
            bulk.among(uow, _incidents.c.id, ids)
            | (bulk.among(uow, _incidents.c.group_key, keyed) & _incidents.c.group_released_at.is_(None)),
        )
        .order_by(_incidents.c.id)
        .with_for_update()
    ).all()
    over = [
        row.id
        for row in rows
        if row.group_released_at is None and row.group_until and row.group_until < uow.now
    ]
    if over:
        uow.execute(
            update(_incidents).where(_incidents.c.id.in_(over)).values(group_released_at=uow.now),
            execution_options={"synchronize_session": False},
        )
    released = set(over) | {row.id for row in rows if row.group_released_at is not None}
    return [_case(row, row.id in released) for row in rows if row.id in ids or row.id not in released]


def _case(row: Any, released: bool) -> Case:
    return Case(
        id=row.id, key=row.key, title=row.title, new=False, severity=Severity(row.severity),
        overridden=row.severity_reason is not None, late=row.late, learning=row.learning, trust=row.trust,
        tags=row.tags, techniques=row.techniques, category=row.category, group_key=None if released else row.group_key,
        group_limit=row.group_limit, group_until=row.group_until, recurrence_of=row.recurrence_of,
        alert_count=row.alert_count, version=row.version,
    )  # fmt: skip


def _insert(uow: UnitOfWork, source: SourceFacts, fresh: dict[str, Case], by_id: dict[UUID, Case]) -> None:
    """Insert the new incidents; where another worker has just opened the group, what was ours joins it."""
    pending = dict(sorted(fresh.items()))
    while pending:
        for case, key in zip(pending.values(), keys.take(uow, len(pending)), strict=True):
            case.key = key
        rows = [_row(uow, source, case) for case in pending.values()]
        stored = bulk.insert(uow, _incidents, rows, _FIRST_WINS, returning=True)
        lost = {key: case for key, case in pending.items() if case.id not in stored}
        by_id.update({case.id: case for case in pending.values() if case.id in stored})
        joined = {case.group_key: case for case in _load(uow, lost, set())} if lost else {}
        pending = {}
        for key, case in lost.items():
            if (theirs := joined.get(key)) is None:
                pending[key] = case  # it was closed in between: try again
                continue
            by_id[theirs.id] = theirs
            theirs.group_until = max(filter(None, (case.group_until, theirs.group_until)), default=None)
            for episode in case.attached:
                episode.why = f"attached: same group as {theirs.key}"
                episode.incident_id = theirs.id
                theirs.attached.append(episode)
                _worsen(theirs, episode, merely_attached=True)


def _row(uow: UnitOfWork, source: SourceFacts, case: Case) -> dict[str, Any]:
    return {
        "id": case.id, "created_at": uow.now, "version": 1, "key": case.key, "kind": "incident", "title": case.title,
        "description": None, "confirmation": "unconfirmed", "severity": case.severity.value,
        "priority": priority_of(case.severity), "stage": "new", "category": case.category,
        "constituency_id": source.constituency_id, "team_id": source.team_id,
        "restricted_to": list(source.restricted_to) if source.restricted_to is not None else None,
        "tlp": "amber", "pap": "amber", "tags": case.tags, "techniques": case.techniques, "late": case.late,
        "learning": case.learning, "exercise": case.exercise, "source": source.name[:200], "trust": case.trust,
        "alert_count": len(case.attached), "opened_at": uow.now, "recurrence_of": case.recurrence_of,
        "group_key": case.group_key, "group_rule": case.rule, "group_why": case.why, "group_until": case.group_until,
        "group_limit": case.group_limit,
    }  # fmt: skip


def priority_of(severity: Severity) -> str:
    """Where a fresh incident of this severity goes in the queue; unknown is treated as medium."""
    return {"critical": "p1", "high": "p2", "medium": "p3", "unknown": "p3"}.get(severity.value, "p4")


def _update(uow: UnitOfWork, source: SourceFacts, cases: Sequence[Case]) -> None:
    # Their rows are locked since they were loaded, so what was counted then still holds.
    rows = [
        {
            "id": case.id, "severity": case.severity.value, "late": case.late, "learning": case.learning, "tags": case.tags,
            "techniques": case.techniques, "trust": least_trust(case.trust, source.trust),
            "alert_count": case.alert_count + len(case.attached), "group_until": case.group_until,
            "version": case.version + 1,
        }
        for case in sorted(cases, key=lambda case: case.id)
    ]  # fmt: skip
    bulk.update(uow, _incidents, rows)
