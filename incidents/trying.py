"""Try a grouping rule on recent alerts: what it would match and how it would group them; nothing is changed."""

from collections import Counter
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.actors import Actor
from incidents.alert_models import Alert
from incidents.grouping import Rule, RuleSet, check
from incidents.repeats import count_within
from incidents.schema import alert_facts
from incidents.visibility import alerts_visible_to

MOST = 500


@dataclass(frozen=True)
class Matched:
    """One alert that the rule would take: its group's key ("" when it is kept as an alert), and where it is now."""

    id: UUID
    title: str
    severity: str
    key: str
    why: str
    incident_id: UUID | None


@dataclass(frozen=True)
class Trial:
    """What a rule would have done to the newest alerts that the reader may see."""

    looked: int
    matched: list[Matched] = field(default_factory=list)
    groups: list[tuple[str, int]] = field(default_factory=list)
    failures: list[tuple[str, int]] = field(default_factory=list)

    @property
    def loose(self) -> int:
        """How many of the matched alerts belong to no incident now."""
        return sum(one.incident_id is None for one in self.matched)


def try_rule(session: Session, actor: Actor, rule: Rule, *, limit: int = MOST) -> Trial:
    """Judge the newest alerts by this rule alone; the rules above it are not asked. Raises Invalid.

    A threshold is counted as it would have been when each alert was last seen.
    """
    check(rule)
    ruleset = RuleSet([rule])
    rows = session.scalars(
        select(Alert)
        .where(alerts_visible_to(actor))
        .order_by(Alert.created_at.desc(), Alert.id.desc())
        .limit(limit)
    ).all()
    matched: list[Matched] = []
    groups: Counter[str] = Counter()
    failures: Counter[str] = Counter()
    for row in rows:
        known = {column.key: getattr(row, column.key) for column in Alert.__table__.columns}
        named = [(entity["type"], entity["value"], entity.get("role", "observer")) for entity in row.entities]
        verdict = ruleset.judge(
            alert_facts(known, named),
            lambda window, row=row: count_within(row.history, row.count, row.last_seen, window),  # type: ignore[misc]  # mypy does not see the default of a lambda
        )
        failures.update(said for _name, said in verdict.failures)
        for one in verdict.candidates:
            groups[one.key] += one.key != ""
            matched.append(Matched(row.id, row.title, row.severity, one.key, one.why, row.incident_id))
    counted = [(key, number) for key, number in groups.most_common() if key]
    return Trial(len(rows), matched, counted, failures.most_common())
