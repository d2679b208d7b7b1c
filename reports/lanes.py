"""The two timelines side by side: what the attacker did beside what we did, each at its own time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from reports.model import Finding, IncidentReport, Line

MOST_OURS = 60
"""So many lines of ours a page shows beside the attacker's; the annex has them all."""
_LOUD = frozenset({
    "incident.opened", "incident.closed", "incident.reopened", "incident.stage_changed", "incident.confirmation_changed",
    "incident.severity_raised", "incident.storm_gathered", "alert.containment_doubted", "alert.watched_seen", "page.started", "page.escalated",
    "page.acknowledged", "page.exhausted", "action.finished", "action.refused", "action.unknown", "action.held",
    "countermeasure.applied", "countermeasure.verified", "countermeasure.failed", "countermeasure.removed", "run.started",
    "run.ended", "run.parked", "step.asked", "step.refused",
})  # fmt: skip
_ROUTINE = frozenset({"task.ticked", "page.closed"})
"""What is left out first of what people did."""
_ABOUT_IT = ("finding.", "review.", "follow_up.", "observable.", "attachment.")


@dataclass(frozen=True)
class Row:
    """One moment: what the attacker did, or what we did."""

    at: datetime
    attacker: Finding | None
    ours: Line | None


def beside(report: IncidentReport, most: int = MOST_OURS) -> tuple[list[Row], int]:
    """Both lanes in the order of time, and how many of our lines were left out to keep `most`.

    What people did and what changed the course is kept; what only writes the record (findings, notes on the review) is
    not our lane. Of too many, the first and the last ones are kept.
    """
    telling = [line for line in report.timeline if not line.verb.startswith(_ABOUT_IT)]
    chosen: Sequence[Line] = telling
    if len(telling) > most:
        chosen = [line for line in telling if (not line.automatic and line.verb not in _ROUTINE) or line.verb in _LOUD]
    if len(chosen) > most:
        chosen = [*chosen[: most * 2 // 3], *chosen[-(most - most * 2 // 3) :]]
    rows = [Row(finding.at, finding, None) for finding in report.findings]
    rows += [Row(line.at, None, line) for line in chosen]
    return sorted(rows, key=lambda row: row.at), len(report.timeline) - len(chosen)
