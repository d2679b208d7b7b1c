"""The one paragraph of a report: five sentences for a director, each from the record, none of them a guess."""

from collections.abc import Sequence

from incidents.models import Milestone
from incidents.stages import MEANING, Disposition
from reports.model import Action, Alert, Decision, Finding, Head, Observable, Point
from reports.told_model import Page
from reports.telling import clipped
from reports.wording import duration, listed, moment

_AFFECTED = ("victim", "target")


def sentences(
    head: Head,
    known: dict[str, Milestone],
    alerts: Sequence[Alert],
    pages: Sequence[Page],
    actions: Sequence[Action],
    findings: Sequence[Finding],
    observables: Sequence[Observable],
    review: Sequence[Point],
    decisions: Sequence[Decision],
) -> tuple[str, ...]:
    """What happened, to what and since when, what was done, what it meant, whether it is over and what was decided."""
    return (
        _what(head, alerts),
        _whom(head, known, findings, observables),
        _done(head, known, pages, actions),
        _meant(head, review),
        _over(head, decisions),
    )


def _what(head: Head, alerts: Sequence[Alert]) -> str:
    how = (
        f"reported by {head.source} in {_count(max(len(alerts), head.alert_count), 'alert')}"
        if alerts
        else f"reported by {head.source}"
        if head.source
        else "opened by hand"
    )
    category = f" of the category {head.category.replace('_', ' ')}" if head.category else ""
    exercise = ", an exercise," if head.exercise else ""
    what = f"{head.key}{exercise} is {_a(head.severity)} {head.kind}{category}, {how} and opened on {moment(head.opened_at)}"
    return f"{what}: {clipped(head.title, 160).rstrip('.')}."


def _whom(
    head: Head, known: dict[str, Milestone], findings: Sequence[Finding], observables: Sequence[Observable]
) -> str:
    things = [one for one in observables if one.type in ("host", "user")]
    things.sort(key=lambda one: not set(one.roles) & set(_AFFECTED))
    names = [clipped(one.shown, 60) for one in things[:3]]
    more = [f"{len(things) - 3} more"] if len(things) > 3 else []
    about = f"It is about {listed([*names, *more])}" if names else "The record names no host and no account"
    began = next(
        (known[kind].at for kind in ("first_malicious", "compromise", "occurred") if kind in known), None
    )
    began = began or (findings[0].at if findings else None)
    if head.confirmation == "not_an_incident":
        return f"{about}."
    if began is None:
        return f"{about}; when it began is not known."
    malicious = findings or {"first_malicious", "compromise"} & known.keys()
    what = "the first malicious act that is known was" if malicious else "as far as is known it began"
    return f"{about}; {what} on {moment(began)}."


def _done(head: Head, known: dict[str, Milestone], pages: Sequence[Page], actions: Sequence[Action]) -> str:
    said = []
    if pages:
        first = next((p for p in pages if p.acknowledged_ms is not None), None)
        answered = (
            f"{first.acknowledged_by} answered after {duration((first.acknowledged_ms or 0) / 1000)}"
            if first
            else "nobody has answered"
        )
        said.append(f"{_count(len(pages), 'page')} went out and {answered}")
    elif "acknowledged" in known:
        waited = (known["acknowledged"].at - head.opened_at).total_seconds()
        said.append(f"{known['acknowledged'].set_by} took it up after {duration(max(waited, 0))}")
    else:
        said.append(
            "Nobody was paged, and nobody has taken it up" if not head.closed_at else "Nobody was paged"
        )
    done = [a for a in actions if a.state == "succeeded" and a.effect in ("disruptive", "destructive")]
    if done:
        said.append(f"{_count(len(done), 'containing action')} succeeded, the first on {moment(done[0].at)}")
    unknown = sum(a.state == "unknown" for a in actions)
    if unknown:
        said.append(f"the outcome of {_count(unknown, 'action')} is not known")
    return f"{'; '.join(said)}."


def _meant(head: Head, review: Sequence[Point]) -> str:
    points = [one for one in review if one.section == "impact" and one.state != "unknown"]
    if not points:
        if head.confirmation == "not_an_incident":
            return "It did no harm that anybody has written down."
        return "What it meant for services, people, data and money is not written down yet."
    told = [
        f"{one.area}: {_with_result(one)}{'' if one.state == 'known' else ', estimated'}"
        for one in points[:3]
    ]
    more = f"; {len(points) - 3} more are below" if len(points) > 3 else ""
    return f"What it meant: {'; '.join(told)}{more}."


def _with_result(point: Point) -> str:
    says = clipped(point.says, 110).rstrip(".")
    return f"{says} ({clipped(point.result, 50)})" if point.result else says


def _over(head: Head, decisions: Sequence[Decision]) -> str:
    if head.closed_at:
        meaning = MEANING.get(Disposition(head.disposition)) if head.disposition else None
        took = duration((head.closed_at - head.opened_at).total_seconds())
        over = f"It was closed by {head.closed_by} after {took}{f': {meaning[0].lower()}{meaning[1:]}' if meaning else ''}"
    else:
        over = f"It is still open, in the stage {head.stage}"
    if not decisions:
        return f"{over.rstrip('.')}; no decision is written down."
    last = decisions[-1]
    asked = clipped(last.question, 90).rstrip(".")
    told = f"the last of {_count(len(decisions), 'decision')} was “{asked}” {clipped(last.decision, 60)}, by {last.by}"
    return f"{over.rstrip('.')}; {told}."


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _a(word: str) -> str:
    return f"an {word}" if word[:1] in "aeiou" else f"a {word}"
