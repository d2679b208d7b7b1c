"""The real ports: how runs reach the record, the products and the people."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from connectors import applied, calls, hand_measures, holds, instances, owners, rails, registry, settling
from connectors.models import CALLING, FINAL, HELD, UNKNOWN, ActionCall, Countermeasure
from core import chosen, logs
from core.actors import SYSTEM, Actor, ActorKind
from core.auth.models import User
from core.db import UnitOfWork, database_now
from core.errors import NotFound
from core.journal import Entry
from core.types import Ref, Severity
from incidents import containment, lifecycle, mails, offshoots, queries, reaching, reporter_words, tasks
from incidents.models import Incident, Task
from incidents.visibility import visible_to
from notify import delivery
from notify.models import ScheduleRow
from notify.oncall import schedules
from notify.oncall.resolver import on_call
from playbooks.ports import Ports, Request


log = logs.get(__name__)

LEAD = "lead"
"""A page by this name reaches the incident's lead first, and then follows the policy of that name, or the default one."""


def _facts(session: Session, subject: Ref) -> dict[str, Any]:
    return queries.facts(session, UUID(subject.id))


def _visible(session: Session, actor: Actor, subject: Ref) -> bool:
    if subject.kind != "incident":
        return False
    query = select(Incident.id).where(Incident.id == UUID(subject.id), visible_to(actor))
    return session.scalar(query) is not None


def _bound(session: Session) -> Callable[[str], bool]:
    """Whether a connected product stands behind a name; each name is looked up once."""
    known: dict[str, bool] = {}

    def is_bound(action: str) -> bool:
        if action not in known:
            exists = action in registry.actions() or action in registry.verbs()
            known[action] = exists and bool(instances.resolve(session, action)[1])
        return known[action]

    return is_bound


def context_of(actor: Actor, subject: Ref, incident: Mapping[str, Any]) -> calls.CallContext:
    """What the door judges a call for an incident by; `incident` are its facts."""
    return calls.CallContext(
        actor=actor, subject=subject, tlp=incident["tlp"], trust=incident["trust"], pap=incident["pap"]
    )


def _call(uow: UnitOfWork, request: Request) -> Mapping[str, Any]:
    given = request.arguments
    context = replace(
        context_of(request.actor, request.subject, request.facts),
        approved_by=tuple(given["approved_by"]),
        reason=given["reason"],
        run=str(request.run_id),
    )
    row = calls.request(
        uow, context, given["action"], given["inputs"], instance=given.get("instance"), key=request.key,
        undo_after=_span(given.get("undo_after")), review_after=_span(given.get("review_after")),
    )  # fmt: skip
    # A call to all products of a verb is on its way as soon as it is asked for.
    state = "intended" if row.state == CALLING else row.state
    return {"ref": f"call:{row.id}", "state": state, "reason": row.note, "output": row.output}


def _proof(uow: UnitOfWork, request: Request) -> Mapping[str, Any]:
    """Whether what a call put in place holds: by its countermeasures, which ask the product; None when none can."""
    return {"proof": applied.proof(uow, UUID(str(request.arguments["call"]).partition(":")[2]))}


def _span(seconds: float | None) -> timedelta | None:
    return timedelta(seconds=seconds) if seconds else None


def _call_answer(session: Session, call_id: UUID, _entry: Entry) -> Mapping[str, Any] | None:
    row = session.get(ActionCall, call_id)
    if row is None or row.state not in (*FINAL, UNKNOWN):
        return None
    return {
        "state": row.state,
        "output": row.output,
        "error": row.note,
        "reviewed": _leaves_something(row) and _comes_up(session, call_id),
    }


def _leaves_something(row: ActionCall) -> bool:
    """Whether a call may have left countermeasures: one to all products of a verb may have, by its children."""
    action = registry.actions().get(row.action or "")
    return action is None or applied.contains(action)


def _comes_up(session: Session, call_id: UUID) -> bool:
    """Whether a call has left a countermeasure that asks for its own review when that is due."""
    mine = select(ActionCall.id).where(or_(ActionCall.id == call_id, ActionCall.parent_id == call_id))
    stands = select(Countermeasure.id).where(
        Countermeasure.call_id.in_(mine), Countermeasure.review_at.is_not(None)
    )
    return session.scalar(stands.limit(1)) is not None


def _task(uow: UnitOfWork, request: Request) -> Mapping[str, Any]:
    given = request.arguments
    purpose = given.get("purpose")
    origin = Ref("step", f"{request.step_id}:{purpose}" if purpose else str(request.step_id))
    draft = task_draft(uow, given, origin)
    task = tasks.create(uow, request.actor, UUID(request.subject.id), draft)
    if given.get("urgent"):
        try:
            _wake(
                uow,
                request,
                "high",
                f"{request.facts['key']}: {draft.title}",
                f"/incidents/{request.facts['key']}#task-{task.id}",
                f"task:{task.id}",
            )
        except NotFound as error:  # nobody is on call yet; the task stands all the same
            log.warning("an urgent task pages nobody", extra={"task": str(task.id), "reason": error.message})
    return {"ref": f"task:{task.id}"}


def task_draft(uow: UnitOfWork, given: Mapping[str, Any], origin: Ref) -> tasks.TaskDraft:
    """A task as steps (and `playbooks.manual`) ask for it."""
    return tasks.TaskDraft(
        title=str(given["title"]),
        instructions=str(given.get("instructions") or ""),
        assign=_named(uow, given.get("assign")),
        due_at=uow.now + timedelta(seconds=given["due"]) if given.get("due") else None,
        checklist=[str(one) for one in given.get("checklist") or ()][: tasks.MAX_ITEMS],
        form=given.get("form"),
        origin=origin,
        urgent=bool(given.get("urgent")),
    )


def _named(session: Session, assign: str | None) -> str | None:
    """People may be named by their address in a playbook; tasks know them by id."""
    if assign is None or not assign.startswith("user:") or "@" not in assign:
        return assign
    found = session.scalar(select(User.id).where(User.email == assign[5:].strip().lower()))
    return f"user:{found}" if found else "role:responder"


def _page(uow: UnitOfWork, request: Request) -> Mapping[str, Any]:
    given = request.arguments
    made = _wake(
        uow,
        request,
        given.get("policy") or "default",
        given["message"],
        f"/incidents/{request.facts['key']}",
        request.key,
        given.get("first") or (),
    )
    return {"ref": f"page:{made}"}


_PARTS = {"owner": "owner_id", "communications": "communications_id", "scribe": "scribe_id"}


def _first(session: Session, incident: Incident, named: Iterable[str]) -> list[UUID]:
    """Of those who are to be reached before a policy, the people there are, each once; a part nobody has taken is passed over."""
    found: dict[UUID, None] = {}
    for one in named:
        kind, _, name = one.partition(":")
        number = getattr(incident, _PARTS[one]) if one in _PARTS else None
        if kind == "user":
            address = name.strip().lower()
            live = (User.email == address, User.disabled_at.is_(None))
            number = session.scalar(select(User.id).where(*live)) if "@" in address else None
        if number is not None:
            found[number] = None
    return list(found)


def _wake(
    uow: UnitOfWork, request: Request, policy: str, message: str, path: str, key: str, first: Iterable[str] = ()
) -> UUID:
    """Page for the incident, or add to its page that is on its way: one incident rings once until somebody has heard it."""
    severity = (
        Severity.critical
        if policy == "critical"
        else max(Severity(request.facts["severity"]), Severity.high, key=lambda one: one.rank)
    )
    incident_key, restricted = request.facts["key"], request.facts["restricted"]
    told = reaching.NO_MESSAGE if restricted else message
    incident = uow.get_one(Incident, UUID(request.subject.id))
    cause = reaching.cause_of(uow, incident)
    alone = _first(uow, incident, ["owner"] if policy == LEAD else first)
    joined = (
        delivery.join(uow, request.actor, policy=policy, subject=request.subject, message=told, severity=severity)
        if not alone
        else None
    )
    page = joined or delivery.page(
        uow,
        request.actor,
        policy=policy,
        subject=request.subject,
        title=f"{incident_key}: {reaching.NO_TITLE}"
        if restricted
        else f"{incident_key} {request.facts['title']}",
        message=told,
        severity=severity,
        path=path,
        key=key,
        kind=cause.kind,
        received_at=cause.received_at,
        first=alone,
    )
    return page.id


def _message(uow: UnitOfWork, request: Request) -> Mapping[str, Any]:
    given, picture = request.arguments, None
    if given["channel"] == "email" and not chosen.effective(uow).smtp_url:
        return {"undeliverable": "No mail server is set up here, so this mail cannot be sent: an administrator sets one on Settings, Installation."}
    title, text = given["title"], given["text"]
    if given.get("picture") and not request.facts["restricted"]:
        picture = mails.picture(uow, UUID(request.subject.id))
    if picture is not None:
        text = f"{text}\n\nThe picture that comes with this shows the mail; nothing in it can be clicked."
    if request.facts["restricted"] and not _is_reader(uow, given.get("to"), request.subject):
        title, text = f"{request.facts['key']}: {reaching.NO_TITLE}", reaching.NO_MESSAGE
    sent = delivery.message(
        uow,
        request.actor,
        channel=given["channel"],
        to=given.get("to"),
        title=title,
        text=text,
        subject=request.subject,
        picture=picture,
    )
    return {"ref": f"message:{sent.id}", "picture": picture is not None}


def _is_reader(session: Session, to: str | None, subject: Ref) -> bool:
    """Whether a message goes to one of the people who may read its restricted incident, and to nobody else."""
    incident = session.get(Incident, UUID(subject.id))
    named = _named(session, to) or ""
    return incident is not None and named.startswith("user:") and named[5:] in (incident.restricted_to or ())


def _mail(uow: UnitOfWork, request: Request) -> Mapping[str, Any]:
    return {"mail": mails.kept(uow, UUID(request.subject.id))}


def _reporter(uow: UnitOfWork, request: Request) -> Mapping[str, Any]:
    incident_id, given = UUID(request.subject.id), request.arguments
    if given["thanks"]:
        return {"told": reporter_words.thank(uow, incident_id)}
    return {"told": reporter_words.tell(uow, request.actor, incident_id, given["text"])}


def _owners(uow: UnitOfWork, request: Request) -> Mapping[str, Any]:
    return {"of": request.arguments["of"], "owners": owners.of(uow, request.arguments["of"])}


def _open(uow: UnitOfWork, request: Request) -> Mapping[str, Any]:
    made = offshoots.open_from(uow, request.actor, UUID(request.subject.id), **request.arguments)
    return {"key": made.key}


def _update(uow: UnitOfWork, request: Request) -> Mapping[str, Any]:
    given, incident_id = dict(request.arguments), UUID(request.subject.id)
    reason = str(given.pop("reason", "") or f"the playbook {request.title}")
    stage, confirmation, tags = (given.pop(key, None) for key in ("stage", "confirmation", "tags_add"))
    if host := given.pop("isolated_by_hand", None):
        hand_measures.put(uow, request.actor, request.subject, "edr.isolate_host", host, key=request.key, reason=reason)
    if host := given.pop("released_by_hand", None):
        hand_measures.end(uow, request.actor, request.subject, "edr.release_host", host)
    if values := given.pop("watch", None):
        lasting = timedelta(seconds=given.pop("watch_for"))
        containment.watch(uow, request.actor, request.subject, values, lasting=lasting, key=request.key, reason=reason)
    if tags:
        given["tags"] = sorted({*request.facts["tags"], *tags})
    if given:
        lifecycle.change(uow, request.actor, incident_id, given, reason=reason)
    if confirmation:
        lifecycle.confirm(uow, request.actor, incident_id, confirmation, because=reason)
    if stage:
        lifecycle.move(uow, request.actor, incident_id, stage)
    return {}


def _may_answer(session: Session, actor: Actor, entries: list[str], subject: Ref) -> bool:
    user = session.get(User, actor.user_id) if actor.kind is ActorKind.person else None
    if user is None or user.disabled_at is not None:
        return False
    if "administrator" in user.roles:
        return True
    return any(_is_among(session, user, entry, subject) for entry in entries)


def _is_among(session: Session, user: User, entry: str, subject: Ref) -> bool:
    if entry == "owner":
        incident = session.get(Incident, UUID(subject.id))
        owner = incident.owner_id if incident else None
        return owner == user.id if owner else "responder" in user.roles
    kind, _, name = entry.partition(":")
    if kind == "role":
        return name in user.roles
    if kind == "user":
        return name in (str(user.id), user.email)
    return kind == "on_call" and _on_call(session, user.id, name)


def _on_call(session: Session, user_id: UUID, name: str) -> bool:
    row = session.scalar(select(ScheduleRow).where(ScheduleRow.name == name))
    if row is None:
        return False
    now = database_now(session)
    shift = on_call(schedules.load(session, [row.id], since=now)[row.id], now)
    return shift is not None and shift.user_id == user_id


def _task_answer(session: Session, task_id: UUID) -> Mapping[str, Any]:
    task = session.get(Task, task_id)
    if task is None:
        return {"state": "skipped", "by": [], "reason": "the task is gone"}
    return {
        "state": task.status,
        "form": task.answers or {},
        "checklist": [{"text": item["text"], "done": item["done"]} for item in task.checklist],
        "by": [task.ended_by] if task.ended_by else [],
        "reason": task.reason,
    }


def _withdraw(uow: UnitOfWork, actor: Actor, ref: str, reason: str) -> None:
    kind, _, ident = ref.partition(":")
    if kind == "task":
        task = uow.get(Task, UUID(ident))
        if task is not None and task.status == "open":
            tasks.skip(uow, actor, task.id, reason)
    if kind == "call":
        call = uow.get(ActionCall, UUID(ident), populate_existing=True)
        if call is not None and call.state == HELD:
            settling.drop(uow, SYSTEM, call.id, reason)


def _stopped(session: Session, subjects: Iterable[Ref]) -> set[Ref]:
    return set(holds.among(session, subjects))


def _unanswered(uow: UnitOfWork, subject: Ref) -> None:
    reaching.page_unanswered(uow, UUID(subject.id))


PORTS = Ports(
    facts=_facts,
    bound=_bound,
    perform={
        "call": _call,
        "task": _task,
        "page": _page,
        "message": _message,
        "update": _update,
        "mail": _mail,
        "reporter": _reporter,
        "open": _open,
        "proof": _proof,
        "owners": _owners,
    },
    refuse_first=frozenset({"call", "page"}),
    may_answer=_may_answer,
    withdraw=_withdraw,
    task_answer=_task_answer,
    call_answer=_call_answer,
    visible=_visible,
    stopped=_stopped,
    held=lambda session: rails.held(session) is not None,
    unanswered=_unanswered,
)
