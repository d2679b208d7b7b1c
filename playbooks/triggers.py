"""Starts playbooks when facts say so, wakes runs whose tasks and calls are over, ends them with their incident."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select, update

from core.actors import SYSTEM, ActorKind
from core.db import UnitOfWork
from core.expressions import Context, compile_condition
from core.journal import Entry, Fact, record
from core.outbox import subscriber
from core.types import Ref
from playbooks import facts, ports, runs, storing
from playbooks.checks import TRIGGER_FACTS, TRIGGER_SCHEMA
from playbooks.models import Playbook, PlaybookRun
from playbooks.state import RUN_LIVE


def start_at_once(uow: UnitOfWork, entry: Entry) -> None:
    """As start_playbooks(), waiting for no run that is being driven: then it raises."""
    _start(uow, entry, wait=False)


@subscriber("playbooks.triggers", verbs=TRIGGER_FACTS, each_at_once=start_at_once)
def start_playbooks(uow: UnitOfWork, entry: Entry) -> None:
    """Start every playbook whose trigger is this fact and whose condition holds; each at most once per fact.

    A condition that cannot be decided does not hold; that is journalled.
    """
    _start(uow, entry, wait=True)


def _start(uow: UnitOfWork, entry: Entry, *, wait: bool) -> None:
    incident = entry.ref("incident")
    if incident is None:
        return
    subject = Ref("incident", incident)
    context: Context | None = None
    begun = False
    for playbook in _published(uow):
        plan = storing.plan_of(uow, playbook.version_id)
        for number, trigger in enumerate(plan.triggers):
            if trigger.on != entry.verb:
                continue
            told = {"verb": entry.verb, "entry": str(entry.id), "because": trigger.when, "fact": entry.body}
            if trigger.when is not None:
                if context is None:
                    context = Context({"incident": ports.current().facts(uow, subject), "trigger": told})
                result = compile_condition(trigger.when, TRIGGER_SCHEMA, routing=True).holds(context)
                if result.error:
                    body = {"playbook": playbook.key, "trigger": number}
                    record(
                        uow,
                        SYSTEM,
                        Fact(
                            facts.TRIGGER_FAILED,
                            (subject, Ref("playbook", playbook.key)),
                            body,
                            {"error": result.error},
                        ),
                    )
                if not result.matched:
                    continue
            key = f"{entry.id}:{playbook.key}"
            runs.begin(uow, SYSTEM, playbook, subject=subject, trigger=told, trigger_key=key, wait=wait)
            begun = True
            break
    if not begun and entry.verb == "incident.opened" and entry.actor_kind == ActorKind.source:
        ports.current().unanswered(uow, subject)  # people who open one by hand have a minute to take it


def _published(uow: UnitOfWork) -> Sequence[Playbook]:
    return uow.scalars(select(Playbook).where(Playbook.removed_at.is_(None)).order_by(Playbook.key)).all()


@subscriber("playbooks.tasks", verbs=("task.completed", "task.skipped"))
def hear_of_task(uow: UnitOfWork, entry: Entry) -> None:
    """A task is over: tell the step that waits for it."""
    task = entry.ref("task")
    if task is not None:
        said = dict(ports.current().task_answer(uow, UUID(task)))
        runs.finish_waits(uow, "task", {f"task:{task}": said})


def hear_of_calls(uow: UnitOfWork, entries: Sequence[Entry]) -> None:
    """Calls are over, or nobody knows whether they happened: tell the steps that wait for them."""
    answers: dict[str, dict[str, object]] = {}
    for entry in entries:
        call = entry.ref("call")
        if call is None or entry.ref("run") is None:
            continue
        said = ports.current().call_answer(uow, UUID(call), entry)
        if said is not None:
            answers[f"call:{call}"] = dict(said)
    runs.finish_waits(uow, "call", answers)


@subscriber(
    "playbooks.calls",
    verbs=("action.finished", "action.unknown", "action.settled", "action.refused"),
    at_once=hear_of_calls,
)
def hear_of_call(uow: UnitOfWork, entry: Entry) -> None:
    """As hear_of_calls(), for one that comes by the outbox."""
    hear_of_calls(uow, [entry])


@subscriber("playbooks.let_go", verbs=("automation.let_go",))
def go_on(uow: UnitOfWork, entry: Entry) -> None:
    """The automation of an incident may go on: its runs look at once what has become of what they waited for."""
    incident = entry.ref("incident")
    if incident is None:
        return
    uow.execute(
        update(PlaybookRun)
        .where(PlaybookRun.subject_kind == "incident", PlaybookRun.subject_id == incident)
        .where(PlaybookRun.state.in_(RUN_LIVE), PlaybookRun.parked_at.is_(None))
        .values(due_at=uow.now)
        .execution_options(synchronize_session=False)
    )
    uow.wake("playbooks.runs")


@subscriber("playbooks.closing", verbs=("incident.closed",))
def end_runs(uow: UnitOfWork, entry: Entry) -> None:
    """A closed incident ends what still runs for it."""
    query = select(PlaybookRun).where(
        PlaybookRun.subject_kind == "incident",
        PlaybookRun.subject_id == entry.ref("incident"),
        PlaybookRun.state.in_(RUN_LIVE),
    )
    # Queued ones first, or ending one would start the next.
    for row in sorted(uow.scalars(query.with_for_update()), key=lambda row: (row.state != "queued", row.id)):
        runs.stop(uow, SYSTEM, row, "the incident was closed")
