"""What a report sets beside each other: times and targets and the usual, questions and answers, names and roles."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import incident_bench as bench
import pytest
from made_report import report
from people_here import People
from run_bench import publish

from cli import assemble
from connectors import rails
from core import clock
from core.db import reading, unit_of_work
from core.errors import Forbidden, Invalid
from core.types import Ref, Severity
from incidents import lifecycle, milestones, queries, targets, tasks
from incidents.lifecycle import IncidentDraft
from incidents.milestones import Times
from playbooks import ports, runs
from reports import contract, incident, roles, usual
from reports.model import Comment, IncidentReport, Observable
from reports.told_model import Message

Drain = Callable[..., int]
START = datetime(2026, 11, 22, 3, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)

assemble.load()


def told(people: People, of: UUID, **more: bool) -> IncidentReport:
    with reading() as session:
        return incident.build(session, people.mara, of, now=clock.now(), **more)


def test_medians_are_of_what_is_known() -> None:
    def lasted(*hours: int | None) -> list[Times]:
        return [Times(None, None, HOUR * one if one is not None else None, None) for one in hours]

    found = usual.medians(lasted(1, None, 9, 2))
    assert (found["contain"].seconds, found["contain"].among) == (7200, 3)
    assert (found["close"].seconds, found["close"].among) == (None, 0)


def declared(
    people: People, *, severity: Severity = Severity.high, contained: int, exercise: bool = False
) -> UUID:
    """A declared incident that was reported at its opening and contained so many hours later."""
    with unit_of_work() as uow:
        made = lifecycle.open_by_hand(uow, people.rita, IncidentDraft("Trojan", severity=severity))
        made.exercise = exercise
        lifecycle.confirm(uow, people.rita, made.id, "declared", because="it ran")
        for kind, at in (("reported", uow.now), ("contained", uow.now + HOUR * contained)):
            milestones.correct(uow, people.rita, made.id, kind, at, precision="exact", reason="the log")
        return made.id


@pytest.mark.usefixtures("database")
def test_a_length_stands_beside_its_target_and_the_year(people: People) -> None:
    for hours in (1, 3, 8):
        declared(people, contained=hours)
    declared(people, contained=99, exercise=True)
    declared(people, contained=77, severity=Severity.low)
    mine = declared(people, contained=5)
    declared(people, contained=50)  # later than mine
    bare = {span.name: span for span in told(people, mine).spans}
    assert (bare["contain"].seconds, bare["contain"].target_seconds, bare["contain"].within) == (5 * 3600, None, None)
    assert (bare["contain"].usual_seconds, bare["contain"].among) == (3 * 3600, 3)
    with unit_of_work() as uow:
        assert targets.put(uow, people.mara, {("high", "contain"): 4 * 3600, ("high", "close"): 86_400}) == 2
    shown = told(people, mine)
    spans = {span.name: span for span in shown.spans}
    assert (spans["contain"].target_seconds, spans["contain"].within) == (4 * 3600, False)
    assert (spans["close"].target_seconds, spans["close"].within, spans["dwell"].seconds) == (86_400, None, None)
    page = contract.get("html").write(shown).decode()
    assert "target 4 h" in page
    assert "median of the year before 3 h, n = 3" in page


@pytest.mark.usefixtures("database")
def test_targets_are_a_managers_and_are_written_down(people: People) -> None:
    with unit_of_work() as uow, pytest.raises(Forbidden):
        targets.put(uow, people.rita, {("high", "contain"): 60})
    with unit_of_work() as uow, pytest.raises(Invalid):
        targets.put(uow, people.mara, {("high", "detect"): 60, ("info", "close"): 60, ("low", "close"): 59})
    for seconds, changed in ((3600, 1), (3600, 0), (7200, 1), (None, 1), (None, 0)):
        with unit_of_work() as uow:
            assert targets.put(uow, people.mara, {("high", "contain"): seconds}) == changed
    with reading() as session:
        assert targets.every(session) == {}
    assert bench.verbs("setting", "targets") == ["target.changed"] * 3  # type: ignore[arg-type]  # a setting has a name


@pytest.mark.usefixtures("database")
def test_waiting_and_the_first_hand_are_counted_from_the_record(people: People) -> None:
    with unit_of_work() as uow:
        made = lifecycle.open_by_hand(uow, people.rita, IncidentDraft("A laptop is gone"))
    for whom in ("vendor", "legal", "vendor", None):
        with unit_of_work() as uow:
            lifecycle.wait_on(uow, people.raul, made.id, whom)
    found = told(people, made.id)
    assert {one.whom: one.times for one in found.waited} == {"vendor": 2, "legal": 1}
    (looked,) = [one for one in found.times if one.kind == "looked"]
    assert (looked.set_by, looked.source) == ("Raul", "person")
    assert [one.kind for one in found.times if one.at is None][:2] == ["first_malicious", "compromise"]
    assert "when it began is not known" in found.paragraph[1]
    assert len(found.paragraph) == 5


@pytest.mark.usefixtures("database")
def test_whether_somebody_must_be_told_is_a_question_and_an_answer(drain: Drain, people: People) -> None:
    ports.use(None)
    publish(
        """
        - {id: other, task: {title: Look}}
        """,
        key="q",
    )
    publish(
        """
        - id: obligations
          task:
            title: Were personal data reached?
            due: 1d
            form: {type: object, required: [answer, because], properties: {answer: {type: string, enum: ["yes", "no", not sure]}, because: {type: string}}}
        """
    )
    with unit_of_work() as uow:
        made = lifecycle.open_by_hand(uow, people.rita, IncidentDraft("Trojan"))
    assert told(people, made.id).obligations == ()
    for playbook in ("p", "q"):
        with unit_of_work() as uow:
            runs.start(uow, people.rita, playbook=playbook, subject=Ref("incident", str(made.id)))
    drain("playbooks.runs", "core.outbox")
    (asked,) = told(people, made.id).obligations
    assert (asked.question, asked.state, asked.at) == ("Were personal data reached?", "not decided", None)
    assert asked.due_at is not None
    with reading() as session:
        (task,) = [one for one in queries.tasks(session, people.rita, incident=made.id).items if one.form]
    with unit_of_work() as uow:
        tasks.complete(uow, people.rita, task.id, {"answer": "no", "because": "the disk was encrypted"})
    shown = told(people, made.id)
    (answered,) = shown.obligations
    assert (answered.state, answered.because, answered.by) == (
        "does not apply",
        "the disk was encrypted",
        "Rita",
    )
    assert ("does not apply", "Rita") in [(one.decision, one.by) for one in shown.decisions]
    assert "the disk was encrypted" in contract.get("html").write(shown).decode()


# ---------------------------------------------------------------------------------------------- for people outside

SECRETS = (
    "Called +34 600 123 456 and 0034 600-123-457, tel 600 123 458; wrote to lena.k@client.example and eva[@]example[.]org. "
    "m.ortiz and eva@example.org got it from billing@evil.example (billing[@]evil[.]example) at 2026-11-22 03:12:00 UTC, "
    "203.0.113.9, 00:12:33, +3 h 12 min, order 100200300."
)


@pytest.mark.usefixtures("sqlite_database")
def test_outside_nobody_is_named_called_or_written_to(people: People) -> None:
    with unit_of_work() as uow:
        rails.protect(uow, people.ana, kind="domain", value="*.corp.example", reason="ours", own=True)

    def seen(kind: str, value: str, shown: str, *role: str) -> Observable:
        return Observable(kind, value, shown, role, START, START, 0)

    made = report("Mail to m.ortiz, seen by Rita")
    made = replace(
        made,
        comments=(Comment(START, "Rita", SECRETS),),
        messages=(Message(START, "Eva Lind", "Rita", "mail", "Dear Eva Lind, call Rita on +49 (0)30 901820"),),
        observables=(
            seen("user", "m.ortiz", "m.ortiz", "victim"), seen("user", "root", "root", "victim"),
            seen("email", "billing@evil.example", "billing[@]evil[.]example", "sender"),
            seen("email", "hr@corp.example", "hr[@]corp[.]example", "artifact"),
            seen("ipv4-addr", "203.0.113.9", "203[.]0[.]113[.]9", "source"),
        ),
    )  # fmt: skip
    with reading() as session:
        outside = roles.instead_of_names(made, roles.known(session, made))
    text = " ".join(
        [contract.get("json").write(outside).decode(), contract.get("html").write(outside).decode()]
    )
    for gone in (
        "600 123",
        "600-123",
        "901820",
        "lena",
        "eva@",
        "eva[",
        "m.ortiz",
        "hr@corp",
        "hr[@]",
        "Rita",
        "Eva Lind",
    ):
        assert gone not in text, gone
    for stays in (
        "billing@evil.example", "203.0.113.9", "2026-11-22 03:12:00 UTC", "00:12:33", "+3 h 12 min", "order 100200300", "root",
        "Account 1", "Account 2", "Reporter 1", "Responder 1", "(phone number)", "(mail address)",
    ):  # fmt: skip
        assert stays in text, stays
    assert outside.proof.digest == made.proof.digest
