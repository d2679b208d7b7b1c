"""Stored rules: seeded once, changed by those who may, in force at once."""

from datetime import timedelta
from typing import Any

import pytest

from core import journal
from core.actors import SYSTEM
from core.db import reading, unit_of_work
from core.errors import Conflict, Forbidden, Invalid
from incident_bench import ANN, alert, incident, low, take
from incidents import circles, rules
from incidents.grouping import DEFAULT_RULES, Rule


def test_seeding_twice_changes_nothing(database: object) -> None:
    with unit_of_work() as uow:
        assert rules.seed(uow) == len(DEFAULT_RULES)
    with unit_of_work() as uow:
        assert rules.seed(uow) == 0
    with reading() as session:
        assert [rules.as_rule(row) for row in rules.listed(session)] == list(DEFAULT_RULES)


def test_a_new_rule_is_in_force_at_once_and_told(database: object, clock: Any) -> None:
    (kept,) = take(low())
    mine = Rule(
        "Logins",
        'alert.category == "login"',
        "open",
        "user:{{ alert.user or 'nobody' }}",
        "a login",
        window=timedelta(hours=2),
    )
    with unit_of_work() as uow:
        row = rules.save(uow, SYSTEM, mine, position=1)
    (opened,) = take(low(fingerprint=(("a", "2"),)))
    assert kept.incident_id is None
    assert incident(opened.incident_id).group_why == 'opened by rule "Logins": a login'
    with unit_of_work() as uow:
        rules.save(uow, SYSTEM, mine, position=1, enabled=False, rule_id=row.id)
    (quiet,) = take(low(fingerprint=(("a", "3"),)))
    assert alert(quiet.alert_id).why == "kept as an alert: no rule asks for an incident"
    with reading() as session:
        told = [entry.body["did"] for entry in journal.entries(session, verbs=["grouping_rule.changed"])]
    assert told == ["changed", "added"]


def test_what_is_refused(database: object) -> None:
    good = Rule("Mine", "true", "keep")
    with unit_of_work() as uow:
        rules.save(uow, SYSTEM, good)
        with pytest.raises(Conflict):
            rules.save(uow, SYSTEM, good)
        with pytest.raises(Invalid):
            rules.save(uow, SYSTEM, Rule("Bad", "alert.nope", "keep"))
        with pytest.raises(Forbidden):
            rules.save(uow, ANN, Rule("Hers", "true", "keep"))
        with pytest.raises(Forbidden):
            rules.remove(uow, ANN, rules.listed(uow)[0].id)
        rules.remove(uow, SYSTEM, rules.listed(uow)[0].id)
        assert rules.listed(uow) == []


def test_constituencies_and_teams(database: object) -> None:
    with unit_of_work() as uow:
        circles.add_constituency(uow, SYSTEM, slug="acme", name="Acme")
        circles.add_team(uow, SYSTEM, slug="soc", name="SOC")
        for slug in ("acme", "Not a slug"):
            with pytest.raises((Conflict, Invalid)):
                circles.add_constituency(uow, SYSTEM, slug=slug, name="x")
        with pytest.raises(Forbidden):
            circles.add_team(uow, ANN, slug="x", name="x")
    with reading() as session:
        assert [row.name for row in circles.constituencies(session)] == ["Acme"]
        assert [row.slug for row in circles.teams(session)] == ["soc"]
