"""A report in words, for what is printed: durations and moments said, points by section, both lanes, and what fits on one page."""

from datetime import datetime
from typing import Any

import msgspec

from incidents.stages import NO_ATTACKER
from reports import lanes
from reports.model import IncidentReport
from reports.telling import clipped
from reports.wording import RSIT, duration, moment, unseen

_LEDGER = {"lapsed": "rang again, since nothing was done,"}
_PRESSING = ("overdue", "not decided", "to be sent", "applies", "sent", "received", "does not apply")
_AREAS = ("services", "people", "data", "money", "safety")


def worded(report: IncidentReport) -> dict[str, Any]:
    """The model as plain data, with texts where it has lengths and moments; nothing in it is markup, and nothing in it steers or hides."""
    data: dict[str, Any] = msgspec.to_builtins(report, builtin_types=(datetime,))
    for time in data["times"]:
        time["after"] = _offset(time["after_seconds"])
    for page in data["pages"]:
        page["acknowledged_ms"] = _after_start(page["acknowledged_ms"], "not known")
        page["sent_ms"] = _after_start(page["sent_ms"], "inbox only" if page["attempts"] else "not sent")
        page["ledger"] = " → ".join(
            f"{_LEDGER.get(m['what'], m['what'])} {_after(m['ms'])}" for m in page["ledger"]
        )
    for span in data["spans"]:
        for name, of in (("took", "seconds"), ("target", "target_seconds"), ("usual", "usual_seconds")):
            span[name] = duration(span[of]) if span[of] is not None else None
    for wait in data["waited"]:
        wait["took"] = duration(wait["seconds"])
    data["version"], data["reviewers"] = report.version, report.reviewers
    data["no_attacker"] = report.head.disposition in NO_ATTACKER and not report.findings
    data["rsit"] = RSIT.get(report.head.category or "")
    data["automatic"], data["by_hand"] = len(report.automatic), len(report.by_hand)
    data["sections"] = {point.section: [] for point in report.review}
    for point in data["review"]:
        data["sections"][point["section"]].append(point)
    data["impact"] = [
        {"area": area, "points": [one for one in data["sections"].get("impact", []) if one["area"] == area]}
        for area in _AREAS
    ]
    rows, left_out = lanes.beside(report)
    data["lanes"], data["left_out"] = [_row(row) for row in rows], left_out
    data["brief"] = _brief(report)
    data["head"]["title"] = clipped(report.head.title, 500)
    return _moments(data)  # type: ignore[no-any-return]  # a dict stays a dict


def _row(row: lanes.Row) -> dict[str, Any]:
    at = moment(row.at)
    return {
        "day": at[:10],
        "time": at[11:19],
        "attacker": msgspec.to_builtins(row.attacker, builtin_types=(datetime,)) if row.attacker else None,
        "ours": msgspec.to_builtins(row.ours, builtin_types=(datetime,)) if row.ours else None,
    }


def _brief(report: IncidentReport) -> dict[str, Any]:
    """What fits on one page, however much there is."""
    points = {area: [one for one in report.points("impact") if one.area == area] for area in _AREAS}
    open_actions = [action for action in report.follow_ups if action.state == "open"]
    return {
        "title": clipped(report.head.title, 140),
        "paragraph": [clipped(sentence, 260) for sentence in report.paragraph],
        "summary": clipped(report.head.summary or "", 420),
        "cause": clipped(
            report.head.root_cause or "; ".join(point.says for point in report.points("cause")), 260
        ),
        "impact": [
            {
                "area": area,
                "state": found[0].state if found else "not known",
                "says": clipped("; ".join(f"{one.says} ({one.result})" if one.result else one.says for one in found), 150),
            }
            for area, found in points.items()
            if area != "safety" or found
        ],
        "decisions": [
            {
                "question": clipped(one.question, 90),
                "decision": clipped(one.decision, 60),
                "by": clipped(one.by, 40),
            }
            for one in report.decisions[-4:]
        ],
        "actions": [
            {
                "title": clipped(one.title, 90), "owner": clipped(one.owner or "nobody yet", 40),
                "due": moment(one.due_at)[:10] if one.due_at else "no date", "overdue": one.overdue,
            }
            for one in open_actions[:4]
        ],
        "more_actions": max(len(open_actions) - 4, 0),
        "earlier": len(report.earlier),
        "ends": [clipped(end, 110) for end in report.open_ends[:4]],
        "more_ends": max(len(report.open_ends) - 4, 0),
        "reached": len(report.pages),
        "answered": sum(page.acknowledged_at is not None for page in report.pages),
        "told": len(report.messages) + len(report.notices),
        "obligations": [
            {"question": clipped(f"{one.to}: {one.question}" if one.to else one.question, 90), "state": one.state, "by": clipped(one.by, 40)}
            for one in sorted(report.obligations, key=lambda one: _PRESSING.index(one.state) if one.state in _PRESSING else 3)[:4]
        ],
    }  # fmt: skip


def _after(ms: int) -> str:
    return f"+{duration(ms / 1000)}" if ms else "first"


def _after_start(ms: int | None, otherwise: str) -> str:
    return otherwise if ms is None else duration(ms / 1000)


def _offset(seconds: float | None) -> str:
    if seconds is None:
        return "not known"
    said = duration(seconds)
    return "at once" if abs(seconds) < 1 else said if seconds < 0 else f"+{said}"


def _moments(value: Any) -> Any:
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, str):
        return unseen(value)
    if isinstance(value, dict):
        return {name: _moments(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_moments(item) for item in value]
    return value
