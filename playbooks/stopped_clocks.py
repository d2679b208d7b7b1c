"""The time for an answer stands still while automation is stopped: it is given back when automation goes on."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select

from core.db import UnitOfWork
from core.journal import Entry
from core.outbox import subscriber
from playbooks.models import PlaybookRun, StepAttempt, Wait
from playbooks.state import RUN_LIVE


def give_back(uow: UnitOfWork, entries: Sequence[Entry]) -> None:
    """Every open question of what was stopped (an incident, or everything) is asked for longer, by as long as it stood still."""
    for entry in entries:
        if "since" not in entry.body:
            continue
        stopped = datetime.fromisoformat(entry.body["since"])
        query = (
            select(PlaybookRun, Wait, StepAttempt)
            .join(Wait, Wait.run_id == PlaybookRun.id)
            .join(StepAttempt, StepAttempt.id == Wait.attempt_id)
            .where(PlaybookRun.state.in_(RUN_LIVE), Wait.kind == "approval", Wait.due_at.is_not(None))
            .where(Wait.answered_at.is_(None), Wait.closed_at.is_(None))
        )
        if (incident := entry.ref("incident")) is not None:
            query = query.where(PlaybookRun.subject_kind == "incident", PlaybookRun.subject_id == incident)
        for _run, wait, attempt in uow.execute(query.order_by(PlaybookRun.id).with_for_update(of=PlaybookRun)):
            stood = entry.at - max(stopped, wait.created_at)
            if wait.due_at is not None and stood.total_seconds() > 0:
                wait.due_at += stood
                attempt.due_at = wait.due_at


@subscriber("playbooks.stopped_clocks", verbs=("automation.let_go", "automation.released"), at_once=give_back)
def _give_back(uow: UnitOfWork, entry: Entry) -> None:
    """As give_back(), for one that comes by the outbox."""
    give_back(uow, [entry])
