"""Decide which alerts become incidents and which belong together: ordered rules over the `alert` schema.

Pure once compiled: facts go in, candidates in order of preference come out; which of them is taken depends only on
which groups are live. A rule that fails at run time does not match, and is reported as a failure.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from core.errors import Invalid, Problem
from core.expressions import (
    Condition,
    Context,
    ExpressionError,
    TemplateError,
    check_template,
    compile_condition,
    render,
)
from incidents.schema import ALERT

Action = Literal["open", "attach", "keep"]
ACTIONS: tuple[Action, ...] = ("open", "attach", "keep")
MAX_SPAN = timedelta(hours=24)
MAX_KEY = 500


@dataclass(frozen=True)
class Rule:
    """One rule as people write it; `when` is CEL, `key` and `why` are templates, all over `alert`."""

    name: str
    when: str
    action: Action
    key: str = ""
    why: str = ""
    threshold: int = 1
    window: timedelta = timedelta(minutes=30)


@dataclass(frozen=True)
class Candidate:
    """What a matching rule asks for: `key` names the group (empty when kept), `why` is for people."""

    action: Action
    rule: str
    key: str
    why: str
    window: timedelta


@dataclass(frozen=True)
class Verdict:
    """The matching rules in order, up to the first that surely decides, and the rules that failed."""

    candidates: tuple[Candidate, ...]
    failures: tuple[tuple[str, str], ...] = ()

    @property
    def opens(self) -> bool:
        """Whether a rule would open an incident, if there is no group to join."""
        return any(candidate.action == "open" for candidate in self.candidates)


class _NoKey(Exception):
    """A rule asked to group by nothing."""


@dataclass(frozen=True)
class _Compiled:
    rule: Rule
    condition: Condition


class RuleSet:
    """Compiled rules, in order. Rules that do not compile are kept apart in `broken` and never match."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._compiled: list[_Compiled] = []
        broken: list[tuple[str, str]] = []
        for rule in rules:
            try:
                self._compiled.append(_Compiled(rule, compile_condition(rule.when, ALERT, routing=True)))
            except ExpressionError as error:
                broken.append((rule.name, str(error)))
        self.broken = tuple(broken)
        self.thresholds = tuple(sorted({rule.threshold for rule in rules if rule.threshold > 1}))

    def judge(
        self,
        alert: Mapping[str, Any],
        seen_within: Callable[[timedelta], int],
        learnt: Mapping[str, Any] | None = None,
    ) -> Verdict:
        """Run the rules over the facts of one alert; `seen_within` counts its repeats in a past window.

        `learnt` are its facts with the host that was learnt for its address. They group it: rules that open or attach
        match by either. What keeps an alert is judged by what was sent alone.
        """
        context = Context({"alert": dict(alert)})
        grouped = Context({"alert": dict(learnt)}) if learnt is not None else None
        found: list[Candidate] = []
        failures: list[tuple[str, str]] = list(self.broken)
        for compiled in self._compiled:
            rule = compiled.rule
            keeps = rule.action == "keep"
            result = compiled.condition.holds(context)
            if not result and grouped is not None and not keeps:
                result = compiled.condition.holds(grouped)
            if result.error:
                failures.append((rule.name, result.error))
            if not result or (rule.threshold > 1 and seen_within(rule.window) < rule.threshold):
                continue
            try:
                found.append(_candidate(rule, alert if keeps or learnt is None else learnt))
            except (TemplateError, _NoKey) as error:
                failures.append((rule.name, str(error)))
                continue
            if rule.action != "attach":
                break
        return Verdict(tuple(found), tuple(failures))


def chosen(candidates: Sequence[Candidate], live: Callable[[str], bool]) -> Candidate | None:
    """The first candidate that can be followed: one that attaches needs a live group of its key."""
    return next((c for c in candidates if c.action != "attach" or live(c.key)), None)


def check(rule: Rule) -> None:
    """Raise Invalid, with every problem, unless this rule can be used."""
    problems: list[Problem] = []
    if rule.action not in ACTIONS:
        problems.append(Problem("action", f"The action must be one of {', '.join(ACTIONS)}."))
    if rule.action != "keep" and not rule.key.strip():
        problems.append(
            Problem("key", "A rule that opens or attaches needs a key, such as host:{{ alert.host }}.")
        )
    if not 1 <= rule.threshold <= 1_000_000:
        problems.append(Problem("threshold", "The threshold must lie between 1 and 1,000,000."))
    if not timedelta(minutes=1) <= rule.window <= timedelta(days=7):
        problems.append(Problem("window", "The window must lie between a minute and seven days."))
    try:
        compile_condition(rule.when, ALERT, routing=True)
    except ExpressionError as error:
        problems.append(Problem("when", str(error)))
    for field, source in (("key", rule.key), ("why", rule.why)):
        problems += [Problem(field, str(problem)) for problem in check_template(source, {"alert"})]
    if problems:
        raise Invalid(f'The rule "{rule.name}" cannot be used: {problems[0].message}', problems)


def _candidate(rule: Rule, alert: Mapping[str, Any]) -> Candidate:
    variables = {"alert": dict(alert)}
    key = ""
    if rule.action != "keep":
        key = str(render(rule.key, variables)).strip()[:MAX_KEY]
        if not key:
            raise _NoKey("its key is empty for this alert")
    detail = str(render(rule.why, variables)).strip() if rule.why else ""
    return Candidate(rule.action, rule.name, key, explained(rule, detail), rule.window)


def explained(rule: Rule, detail: str) -> str:
    """Why an alert went where it went: opened by rule "High and above": severity high."""
    did = {"open": "opened", "attach": "attached", "keep": "kept as an alert"}[rule.action]
    if rule.threshold > 1:
        seen = f"seen {rule.threshold} times or more within {spoken(rule.window)}"
        detail = f"{detail}, {seen}" if detail else seen
    return f'{did} by rule "{rule.name}"' + (f": {detail}" if detail else "")


def spoken(window: timedelta) -> str:
    """A window in words: 30 minutes, 1 hour, 2 days."""
    seconds = int(window.total_seconds())
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size and seconds % size == 0:
            count = seconds // size
            return f"{count} {name}{'' if count == 1 else 's'}"
    return f"{seconds} seconds"


DEFAULT_KEY = '{{ "host:" ~ alert.host if alert.host else ("user:" ~ alert.user if alert.user else "alert:" ~ alert.fingerprint) }}'

DEFAULT_RULES = (
    Rule(
        "Tests stay alerts", "alert.is_test", "keep", why="marked as a test by {{ alert.source }}",
    ),
    Rule(
        "Outage, as its tool groups it",
        'alert.severity_rank >= 4 && alert.category == "availability" && alert.correlation != null',
        "open",
        "group:{{ alert.source }}:{{ alert.correlation }}",
        "severity {{ alert.severity }}, one group of {{ alert.source }}",
    ),
    Rule(
        "High and above", "alert.severity_rank >= 4", "open", DEFAULT_KEY, "severity {{ alert.severity }}",
    ),
    Rule(
        "Beside an open incident",
        "alert.severity_rank == 3 && (alert.host != null || alert.user != null)",
        "attach",
        DEFAULT_KEY,
        "severity medium, same {{ 'host ' ~ alert.host if alert.host else 'user ' ~ alert.user }}",
    ),
    Rule(
        "Keeps coming", "alert.severity_rank == 3 || alert.severity_rank == 0", "open", DEFAULT_KEY,
        "severity {{ alert.severity }}", threshold=10, window=timedelta(hours=1),
    ),
    Rule(
        "Floods", "alert.severity_rank >= 1 && alert.severity_rank <= 2", "open", DEFAULT_KEY,
        "severity {{ alert.severity }}", threshold=1000, window=timedelta(hours=1),
    ),
)  # fmt: skip
"""The policy a new installation starts with; what no rule matches stays an alert."""
