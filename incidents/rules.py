"""The stored grouping rules: loaded compiled, changed by people, seeded once, their failures counted."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any, cast
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from core import journal
from core.actors import SYSTEM, Actor
from core.auth import permissions
from core.db import UnitOfWork, is_postgres
from core.errors import Conflict, NotFound
from core.ids import new_id
from core.journal import Fact
from core.types import Ref
from incidents import facts
from incidents.grouping import DEFAULT_RULES, Action, Rule, RuleSet, check
from incidents.models import GroupingRule
from incidents.permissions import EDIT_RULES

_rules: Any = GroupingRule.__table__
_STEP = 10


def active(session: Session) -> RuleSet:
    """The enabled rules in their order, compiled; compiled anew only when a rule has changed."""
    rows = session.execute(
        select(
            _rules.c.name, _rules.c.when_cel, _rules.c.action, _rules.c.group_key, _rules.c.why, _rules.c.threshold,
            _rules.c.window_seconds,
        )
        .where(_rules.c.enabled)
        .order_by(_rules.c.position, _rules.c.name)
    )  # fmt: skip
    return _compiled(tuple(tuple(row) for row in rows))


@lru_cache(maxsize=8)
def _compiled(rows: tuple[tuple[Any, ...], ...]) -> RuleSet:
    return RuleSet(
        [
            Rule(name, when, action, key, why, threshold, timedelta(seconds=seconds))
            for name, when, action, key, why, threshold, seconds in rows
        ]
    )


def listed(session: Session) -> Sequence[GroupingRule]:
    """All rules in their order, disabled ones too."""
    return session.scalars(select(GroupingRule).order_by(GroupingRule.position, GroupingRule.name)).all()


def as_rule(row: GroupingRule) -> Rule:
    """A stored rule as the value the rule engine takes."""
    window = timedelta(seconds=row.window_seconds)
    return Rule(row.name, row.when, cast(Action, row.action), row.key, row.why, row.threshold, window)


def save(
    uow: UnitOfWork,
    actor: Actor,
    rule: Rule,
    *,
    position: int | None = None,
    enabled: bool = True,
    rule_id: UUID | None = None,
) -> GroupingRule:
    """Add a rule (at the end unless a position is given) or change the one with this id.

    Raises Invalid with every problem, NotFound, Conflict when the name is taken.
    """
    permissions.require(actor, EDIT_RULES.name)
    check(rule)
    row = (
        uow.get(GroupingRule, rule_id)
        if rule_id
        else GroupingRule(id=new_id(), created_at=uow.now, failures=0)
    )
    if row is None:
        raise NotFound("There is no such grouping rule.")
    taken = uow.scalar(
        select(GroupingRule.id).where(GroupingRule.name == rule.name, GroupingRule.id != row.id)
    )
    if taken:
        raise Conflict(f'There is already a rule called "{rule.name}".')
    row.name, row.when, row.action, row.key, row.why = rule.name, rule.when, rule.action, rule.key, rule.why
    row.threshold, row.window_seconds = rule.threshold, int(rule.window.total_seconds())
    row.enabled, row.failures, row.last_failure = enabled, 0, None
    if position is not None:
        row.position = position
    elif rule_id is None:
        row.position = max((other.position for other in listed(uow)), default=0) + _STEP
    uow.add(row)
    uow.flush()
    _record(uow, actor, row, "changed" if rule_id else "added")
    return row


def get(session: Session, rule_id: UUID) -> GroupingRule:
    """The rule with this id. Raises NotFound."""
    row = session.get(GroupingRule, rule_id)
    if row is None:
        raise NotFound("There is no such grouping rule.")
    return row


def switch(uow: UnitOfWork, actor: Actor, rule_id: UUID, *, enabled: bool) -> GroupingRule:
    """Use a rule, or leave it out without losing it. Raises NotFound."""
    permissions.require(actor, EDIT_RULES.name)
    row = get(uow, rule_id)
    if row.enabled != enabled:
        row.enabled = enabled
        _record(uow, actor, row, "enabled" if enabled else "disabled")
    return row


def move(uow: UnitOfWork, actor: Actor, rule_id: UUID, *, up: bool) -> GroupingRule:
    """Put a rule before the one above it, or after the one below; at the end of the list nothing moves."""
    permissions.require(actor, EDIT_RULES.name)
    moved, order = get(uow, rule_id), list(listed(uow))
    at = order.index(moved)
    to = at - 1 if up else at + 1
    if not 0 <= to < len(order):
        return moved
    order[at], order[to] = order[to], order[at]
    for place, row in enumerate(order):
        row.position = (place + 1) * _STEP
    _record(uow, actor, moved, "moved")
    return moved


def remove(uow: UnitOfWork, actor: Actor, rule_id: UUID) -> None:
    """Delete a rule; incidents it opened keep its name. Raises NotFound."""
    permissions.require(actor, EDIT_RULES.name)
    row = get(uow, rule_id)
    uow.delete(row)
    _record(uow, actor, row, "removed")


def seed(uow: UnitOfWork) -> int:
    """Give an installation without rules the default ones; returns how many were added. Harmless to repeat."""
    if uow.scalar(select(_rules.c.id).limit(1)) is not None:
        return 0
    insert = (postgresql.insert if is_postgres(uow) else sqlite.insert)(_rules)
    rows = [
        {
            "id": new_id(), "created_at": uow.now, "version": 1, "name": rule.name, "position": (place + 1) * _STEP,
            "enabled": True, "when_cel": rule.when, "action": rule.action, "group_key": rule.key, "why": rule.why,
            "threshold": rule.threshold, "window_seconds": int(rule.window.total_seconds()), "failures": 0,
        }
        for place, rule in enumerate(DEFAULT_RULES)
    ]  # fmt: skip
    uow.execute(insert.on_conflict_do_nothing(), rows)
    return len(rows)


def report(uow: UnitOfWork, failures: Mapping[str, str]) -> None:
    """Count rules that failed at run time; the first failure with a new sentence is told in the journal."""
    for name, said in sorted(failures.items()):
        row = uow.execute(
            select(_rules.c.id, _rules.c.last_failure).where(_rules.c.name == name)
        ).one_or_none()
        if row is None:
            continue
        uow.execute(
            update(_rules)
            .where(_rules.c.id == row.id)
            .values(failures=_rules.c.failures + 1, last_failure=said),
            execution_options={"synchronize_session": False},
        )
        if row.last_failure != said:
            fact = Fact(facts.RULE_FAILED, (Ref("rule", str(row.id)),), {"rule": name}, {"error": said})
            journal.record(uow, SYSTEM, fact)


def failing(session: Session) -> Sequence[GroupingRule]:
    """The enabled rules that have failed since they were last changed: shown on Now."""
    return session.scalars(
        select(GroupingRule)
        .where(GroupingRule.failures > 0, GroupingRule.enabled)
        .order_by(GroupingRule.position)
    ).all()


def _record(uow: UnitOfWork, actor: Actor, row: GroupingRule, did: str) -> None:
    body = {
        "did": did, "name": row.name, "when": row.when, "action": row.action, "key": row.key, "enabled": row.enabled,
        "position": row.position, "threshold": row.threshold, "window_seconds": row.window_seconds,
    }  # fmt: skip
    journal.record(uow, actor, Fact(facts.RULE_CHANGED, (Ref("rule", str(row.id)),), body))
