"""A restricted incident leaks nowhere: every query of the record, asked by somebody else."""

import inspect
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from core import clock as core_clock
from core import journal
from core.actors import SYSTEM, Actor, ActorKind
from core.db import reading, unit_of_work
from core.errors import Conflict, NotFound, TocsinError
from core.types import Ref
from incident_bench import ALL, ANN, BOB, NOBODY, READER, alert, draft, incident, take, verbs
from incidents import closing, comments, indexing, lifecycle, milestones, observables, queries, search, tasks
from incidents.closing import Closing
from incidents.filters import AlertFilter, IncidentFilter
from incidents.opening import SourceFacts
from incidents.visibility import visible_refs

TOKEN = Actor(ActorKind.token, str(uuid4()), "dashboard", ALL)
OUTSIDERS = [BOB, READER, NOBODY, TOKEN]


class Case:
    """One restricted incident with an alert, a task and a comment; Ann may see it."""

    def __init__(self) -> None:
        (done,) = take(draft(title="Zebra exfiltration by an administrator"))
        assert done.incident_id is not None
        self.incident, self.alert = done.incident_id, done.alert_id
        with unit_of_work() as uow:
            self.task = tasks.create(uow, ANN, self.incident, tasks.TaskDraft("Ask HR")).id
            self.comment = comments.add(uow, ANN, self.incident, "zebra").id
            lifecycle.restrict(uow, ANN, self.incident, [])
        self.key = incident(self.incident).key


@pytest.fixture
def case(database: object, clock: Any, drain: Any) -> Case:
    made = Case()
    drain("core.outbox")
    with unit_of_work() as uow:
        indexing.index_alerts(uow)
    return made


def everything_read_by(actor: Actor, case: Case) -> dict[str, Any]:
    """What each reading function tells this actor: an empty value or NotFound says nothing."""

    def asked(ask: Any) -> Any:
        with reading() as session:
            try:
                return ask(session)
            except NotFound:
                return None

    return {
        "incidents": asked(lambda s: queries.incidents(s, actor, IncidentFilter(state="all")).items),
        "incidents by observable": asked(lambda s: queries.incidents(s, actor, IncidentFilter(observable="web01")).items),
        "incident by key": asked(lambda s: queries.incident(s, actor, case.key)),
        "incident by id": asked(lambda s: queries.incident(s, actor, case.incident)),
        "incidents by ids": asked(lambda s: queries.incidents_by_ids(s, actor, [case.incident])),
        "alerts": asked(lambda s: queries.alerts(s, actor, AlertFilter()).items),
        "alert": asked(lambda s: queries.alert(s, actor, case.alert)),
        "deliveries": asked(lambda s: queries.deliveries_of(s, actor, case.alert)),
        "alerts of delivery": asked(
            lambda s: queries.alerts_of_delivery(s, actor, queries.deliveries_of(s, SYSTEM, case.alert)[0])
        ),
        "tasks": asked(lambda s: queries.tasks(s, actor).items),
        "task": asked(lambda s: queries.task(s, actor, case.task)),
        "comments": asked(lambda s: comments.of_incident(s, actor, case.incident)),
        "timeline": asked(lambda s: queries.timeline(s, actor, case.incident)),
        "journal": asked(lambda s: queries.readable(s, actor, journal.entries(s, ref=Ref("incident", str(case.incident))))),
        "counts": asked(lambda s: [n for n in vars(queries.counts(s, actor, core_clock.now() - timedelta(hours=1))).values() if (sum(n.values()) if isinstance(n, dict) else n)]),
        "standing": asked(
            lambda s: [n for n in vars(queries.standing(s, actor)).values() if (sum(n.values()) if isinstance(n, dict) else n)]
        ),
        "open counts": asked(lambda s: list(queries.open_counts(s, actor).by_severity)),
        "search key": asked(lambda s: search.search(s, actor, case.key)),
        "search words": asked(lambda s: search.search(s, actor, "zebra")),
        "search host": asked(lambda s: search.search(s, actor, "web01")),
        "search address": asked(lambda s: search.search(s, actor, "203.0.113.7")),
        "observables": asked(lambda s: observables.of_incident(s, actor, case.incident)),
        "number of observables": asked(
            lambda s: [n for n in (observables.number_in(s, actor, case.incident),) if n]
        ),
        "seen elsewhere": asked(
            lambda s: observables.seen_elsewhere(s, actor, UUID(int=1), [observables.observable_id("host", "web01")])
        ),
        "refs": asked(
            lambda s: visible_refs(
                s,
                actor,
                [
                    Ref("incident", str(case.incident)), Ref("alert", str(case.alert)), Ref("task", str(case.task)),
                    Ref("comment", str(case.comment)),
                ],
            )
        ),
    }  # fmt: skip


@pytest.mark.parametrize("outsider", OUTSIDERS, ids=lambda actor: actor.name)
def test_nobody_else_reads_anything_of_it(case: Case, outsider: Actor) -> None:
    told = {name: value for name, value in everything_read_by(outsider, case).items() if value}
    assert told == {}


@pytest.mark.parametrize("insider", [ANN, SYSTEM], ids=lambda actor: actor.name)
def test_those_it_is_for_read_everything(case: Case, insider: Actor) -> None:
    assert [name for name, value in everything_read_by(insider, case).items() if not value] == []


def test_the_list_of_questions_is_complete() -> None:
    """Every public function of queries and search that takes an actor is asked above."""
    source = inspect.getsource(everything_read_by)
    for module in (queries, search, comments, observables):
        for name, function in inspect.getmembers(module, inspect.isfunction):
            parameters = list(inspect.signature(function).parameters)
            if (
                function.__module__ == module.__name__
                and not name.startswith("_")
                and parameters[:2] == ["session", "actor"]
            ):
                assert f"{module.__name__.rpartition('.')[2]}.{name}(" in source, name


def test_nobody_else_changes_anything_of_it(case: Case) -> None:
    for act in (
        lambda uow: lifecycle.change(uow, BOB, case.incident, {"title": "x"}),
        lambda uow: lifecycle.move(uow, BOB, case.incident, "triage"),
        lambda uow: lifecycle.assign(uow, BOB, case.incident, BOB.user_id),
        lambda uow: lifecycle.confirm(uow, BOB, case.incident, "declared", because="x"),
        lambda uow: lifecycle.wait_on(uow, BOB, case.incident, "vendor"),
        lambda uow: lifecycle.restrict(uow, BOB, case.incident, None),
        lambda uow: closing.close(uow, BOB, case.incident, Closing("duplicate")),
        lambda uow: comments.add(uow, BOB, case.incident, "x"),
        lambda uow: comments.edit(uow, BOB, case.comment, "x"),
        lambda uow: tasks.create(uow, BOB, case.incident, tasks.TaskDraft("x")),
        lambda uow: tasks.complete(uow, BOB, case.task),
        lambda uow: tasks.skip(uow, BOB, case.task, "x"),
        lambda uow: observables.attach(uow, BOB, case.incident, "host", "x"),
        lambda uow: observables.detach(uow, BOB, case.incident, observables.observable_id("host", "web01")),
        lambda uow: milestones.correct(
            uow, BOB, case.incident, "aware", uow.now, precision="day", reason="x"
        ),
    ):
        with unit_of_work() as uow, pytest.raises(NotFound):
            act(uow)


def test_an_alert_of_a_restricted_source_is_hidden_too(database: object, clock: Any) -> None:
    secret = SourceFacts(UUID(int=2), "hr", "generic", restricted_to=(ANN.id,))
    (done,) = take(draft(), source=secret)
    assert alert(done.alert_id).restricted_to == [ANN.id]
    with reading() as session:
        assert queries.alerts(session, BOB, AlertFilter()).items == []
        assert queries.incidents(session, BOB, IncidentFilter()).items == []
        assert len(queries.alerts(session, ANN, AlertFilter()).items) == 1


def test_fresh_alerts_do_not_join_an_incident_that_was_restricted(case: Case) -> None:
    (done,) = take(draft(fingerprint=(("rule", "another"),)))
    assert done.incident_id not in (None, case.incident)


def test_an_owner_must_be_a_reader(case: Case) -> None:
    with unit_of_work() as uow, pytest.raises(Conflict):
        lifecycle.assign(uow, ANN, case.incident, BOB.user_id)
    with unit_of_work() as uow:
        lifecycle.restrict(uow, ANN, case.incident, [BOB.id])
        lifecycle.assign(uow, ANN, case.incident, BOB.user_id)
    with reading() as session:
        assert queries.incident(session, BOB, case.key).owner_id == BOB.user_id
    with unit_of_work() as uow:
        lifecycle.restrict(uow, ANN, case.incident, None)
    with reading() as session:
        assert queries.incident(session, READER, case.key).restricted_to is None
    assert verbs("incident", case.incident).count("incident.restricted") == 3


def test_nothing_is_told_of_an_unknown_reference(database: object) -> None:
    with reading() as session:
        assert visible_refs(session, BOB, [Ref("incident", "nonsense"), Ref("page", "1")]) == {
            Ref("page", "1")
        }
    assert issubclass(NotFound, TocsinError)
