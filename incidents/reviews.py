"""Has a person decide on a countermeasure when its review is due: a task, and a page that wakes nobody at night."""

from uuid import UUID

from sqlalchemy import Select, or_, select

from connectors import hand_measures
from connectors.models import Countermeasure
from core.actors import SYSTEM
from core.db import UnitOfWork
from core.journal import Entry
from core.outbox import subscriber
from core.types import Ref, Severity
from incidents import reaching, tasks
from incidents.models import Incident, Task

_WHAT_TO_DO = """\
Nothing is taken back by itself: a timer would give it back to the attacker.

1. Look at what {what} did since, here and in the product.
2. Open [Countermeasures](/countermeasures) and find its line.
3. Choose **Keep** and say when to look again, or **Take back**.

Normal: nothing new was seen, and whoever owns it has cleaned or confirmed it. **When in doubt, keep it** and ask the lead.
"""


@subscriber("incidents.reviews", verbs=["countermeasure.review_due"])
def ask(uow: UnitOfWork, entry: Entry) -> None:
    """A countermeasure that no timer may take back is due: one task for the incident's owner, and a quiet page."""
    row = uow.get(Countermeasure, UUID(str(entry.ref("countermeasure"))))
    incident = (
        uow.get(Incident, UUID(row.subject_id))
        if row is not None and row.subject_kind == "incident"
        else None
    )
    if row is None or incident is None or row.removed_at is not None:
        return
    title = f"Keep or take back: {hand_measures.title_of(row.action)} on {row.entity_value}"
    if incident.closed_at is None:
        draft = tasks.TaskDraft(
            title=title, instructions=_WHAT_TO_DO.format(what=f"`{row.entity_value}`"), assign="owner", due_at=uow.now,
            origin=Ref("countermeasure", _origin(uow, row.id)),
        )  # fmt: skip
        tasks.create(uow, SYSTEM, incident.id, draft)
    reaching.wake(
        uow, incident, title=title, message="Its review is due. It stays in force until somebody decides.",
        severity=Severity.medium, key=f"review:{row.id}",
    )  # fmt: skip


@subscriber("incidents.reviewed", verbs=["countermeasure.extended", "countermeasure.removed"])
def decided(uow: UnitOfWork, entry: Entry) -> None:
    """Somebody has decided: the task that asked is done."""
    said = "kept it" if entry.verb == "countermeasure.extended" else "took it back"
    for task in uow.scalars(
        _asking(UUID(str(entry.ref("countermeasure")))).where(Task.status == "open")
    ).all():
        tasks.skip(uow, SYSTEM, task.id, f"{entry.actor_name} {said}")


def _origin(uow: UnitOfWork, row_id: UUID) -> str:
    """The name of this review; what was kept comes up again."""
    before = len(uow.scalars(_asking(row_id)).all())
    return f"{row_id}:{before + 1}" if before else str(row_id)


def _asking(row_id: UUID) -> Select[Task]:
    return select(Task).where(
        Task.origin_kind == "countermeasure",
        or_(Task.origin_id == str(row_id), Task.origin_id.like(f"{row_id}:%")),
    )
