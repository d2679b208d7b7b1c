"""The key times of a report: when each moment was, how long it took, beside the target and what is usual."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from core.actors import ActorKind
from core.journal import Entry
from incidents import milestones
from incidents.models import Incident, Milestone
from incidents.stages import NO_ATTACKER
from reports.model import Finding, KeyTime, Span, Waited
from reports.usual import SPANS, Usual

_MOMENTS = {
    "first_malicious": "First malicious act", "compromise": "Initial compromise", "occurred": "Occurred",
    "alerted": "Detected (first alert)", "reported": "Reported", "acknowledged": "Acknowledged", "declared": "Declared", "aware": "Aware (legal)", "exfiltration": "Data taken",
    "contained": "Contained", "eradicated": "Eradicated", "recovered": "Recovered", "closed": "Closed",
}  # fmt: skip
_ALWAYS = ("first_malicious", "compromise", "looked", "acknowledged", "declared", "aware", "contained", "verified", "eradicated", "recovered", "closed")  # fmt: skip
_ALWAYS_OF_NONE = ("acknowledged", "closed")  # of what is not an incident
_BY_AN_ATTACKER = ("first_malicious", "compromise")
_SAYS = {**_MOMENTS, "looked": "First worked on by a person", "verified": "Containment verified"}
_OURS = (
    "follow_up.",
    "review.",
    "reporter.",
)  # writing of the record, and words of those outside: no work on it


def key_times(
    incident: Incident, known: Mapping[str, Milestone], findings: Sequence[Finding], entries: Sequence[Entry]
) -> tuple[KeyTime, ...]:
    """Every moment that is known, in order, then those that belong to each incident and are not."""
    opened = incident.opened_at

    def moment(kind: str, at: datetime, source: str, by: str) -> KeyTime:
        return KeyTime(kind, _SAYS[kind], at, (at - opened).total_seconds(), source, by)

    reached = [
        moment(kind, m.at, m.source, m.set_by) for kind in _MOMENTS if (m := known.get(kind)) is not None
    ]
    if findings and "first_malicious" not in known:
        began = findings[0]
        reached.append(moment("first_malicious", began.at, f"finding {began.number}", began.added_by))
    if (first := _first_worked(entries)) is not None:
        reached.append(moment("looked", first.at, "person", first.actor_name))
    proved = [entry for entry in entries if entry.verb == "countermeasure.verified"]
    if proved:
        reached.append(moment("verified", proved[-1].at, "system", proved[-1].actor_name))
    wanted: tuple[str, ...] = _ALWAYS_OF_NONE if incident.confirmation == "not_an_incident" else _ALWAYS
    if incident.disposition in NO_ATTACKER:
        wanted = tuple(kind for kind in wanted if kind not in _BY_AN_ATTACKER)
    there = {time.kind for time in reached}
    missing = [KeyTime(kind, _SAYS[kind], None, None, "", None) for kind in wanted if kind not in there]
    first_of_all = KeyTime("opened", "Opened", opened, 0, "system", "Tocsin")
    return (*sorted([first_of_all, *reached], key=lambda t: t.at or opened), *missing)


def _first_worked(entries: Sequence[Entry]) -> Entry | None:
    """What a person of ours did first; opening it by hand is no answer to it."""
    return next(
        (
            entry
            for entry in entries
            if entry.actor_kind == ActorKind.person
            and entry.verb != "incident.opened"
            and not entry.verb.startswith(_OURS)
        ),
        None,
    )


def spans(
    known: dict[str, Milestone], targets: Mapping[str, int], usual: Mapping[str, Usual]
) -> tuple[Span, ...]:
    """How long it took, each beside what it is counted from, the target of its severity, and the year's median."""
    times = milestones.times(known)
    told = (
        ("detect", "To detect", "from the first malicious act that a person established to the first alert"),
        ("acknowledge", "To acknowledge", "from the first alert or report to a person's answer"),
        ("contain", "To contain", "from the first alert or report to the stage after contain"),
        ("recover", "To recover", "from the first alert or report to the stage after recover"),
        ("close", "To close", "from the first alert or report to the closing"),
        ("dwell", "Dwell time", "from the first malicious act that a person established to the containment"),
    )
    found = []
    for name, says, counted in told:
        length = getattr(times, SPANS[name])
        seconds = length.total_seconds() if length is not None else None
        target = targets.get(name)
        within = seconds <= target if seconds is not None and target is not None else None
        year = usual.get(name, Usual(None, 0))
        found.append(Span(name, says, seconds, counted, target, within, year.seconds, year.among))
    return tuple(found)


def waited(entries: Sequence[Entry], until: datetime) -> tuple[Waited, ...]:
    """How long the incident waited for whom, the longest first; what goes on counts until `until`."""
    lengths: dict[str, float] = {}
    times: dict[str, int] = {}
    since: tuple[str, datetime] | None = None
    for entry in entries:
        if entry.verb not in {"incident.waiting_changed", "incident.closed"}:
            continue
        if since is not None:
            lengths[since[0]] = lengths.get(since[0], 0.0) + (entry.at - since[1]).total_seconds()
            since = None
        whom = entry.body.get("to") if entry.verb == "incident.waiting_changed" else None
        if isinstance(whom, str):
            since = (whom, entry.at)
            times[whom] = times.get(whom, 0) + 1
    if since is not None:
        lengths[since[0]] = lengths.get(since[0], 0.0) + (until - since[1]).total_seconds()
    return tuple(
        Waited(whom, seconds, times[whom])
        for whom, seconds in sorted(lengths.items(), key=lambda one: -one[1])
    )
