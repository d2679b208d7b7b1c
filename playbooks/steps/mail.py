"""Reads the reported mail that is kept with the incident; where none is kept, a person is asked for the original."""

from collections.abc import Mapping
from typing import Any

from playbooks import task_drafts
from playbooks.answers import blank_answers, in_order
from playbooks.asking import left_out
from playbooks.contract import Body, Done, Event, Failed, Outcome, Perform, Skipped, StepKind, View
from playbooks.weighing import UNKNOWN

_FORM = in_order({
    "type": "object",
    "required": ["sender", "passed"],
    "properties": {
        "sender": {"type": "string", "title": "Which address stands in From?"},
        "reply_to": {"type": "string", "title": "Which address stands in Reply-To, if another?"},
        "message_id": {"type": "string", "title": "Which Message-ID?"},
        "passed": {"type": "string", "title": "What does DMARC say, else SPF and DKIM?", "enum": ["pass", "fail", "nothing"]},
    },
})  # fmt: skip


def parse(body: Body) -> dict[str, Any]:
    """`mail: {title, instructions, assign, due}`: the task for when no original is kept."""
    table = body.table()
    if table is None:
        return task_drafts.blank("Attach the original mail", form=_FORM)
    spec = task_drafts.read(table) | {"form": _FORM}
    table.close()
    return spec


def begin(_view: View) -> Outcome:
    """Look for what was read when the mail came in."""
    return Perform("mail", {}, detail={"stage": "reading"})


def on_event(view: View, event: Event) -> Outcome:
    """Read; or ask for it, and read again what was attached."""
    stage = view.detail.get("stage")
    if event.name == "performed" and stage == "asking":
        return task_drafts.wait(view, event)
    if event.name == "performed":
        return _read(view, event.data.get("mail"), stage)
    if event.name == "task" and event.data.get("state") == "skipped":
        return Done({**UNKNOWN, "kept": False}, note=left_out(event))  # what follows finds every name, and nothing in it
    if event.name == "task":
        form = {**blank_answers(_FORM), **(event.data.get("form") or {})}
        return Perform("mail", {}, detail={"stage": "again", "form": form, "by": list(event.data.get("by", ()))})
    return Failed("nobody attached the original in time", retry=False)


def _read(view: View, mail: Mapping[str, Any] | None, stage: Any) -> Outcome:
    form, by = view.detail.get("form") or {}, tuple(view.detail.get("by", ()))
    if mail is not None:
        return Done({**UNKNOWN, **mail, "kept": True}, form=form, by=by)
    if stage == "again":
        return Done({**UNKNOWN, **_answered(form), "kept": False}, form=form, by=by, note="as a person read it")
    if view.mode == "watch":
        return Skipped("watch mode: no original mail is kept", would={"task": view.render(view.step.spec["title"])})
    return task_drafts.make(view, view.step.spec, {"stage": "asking"})


def _answered(form: Mapping[str, Any]) -> dict[str, Any]:
    """The same facts from a person's answers."""
    sender = str(form.get("sender") or "").strip().strip("<>").casefold()
    reply = str(form.get("reply_to") or "").strip().strip("<>").casefold()
    passed = form.get("passed")
    return {
        "sender": sender,
        "sender_domain": sender.rpartition("@")[2],
        "reply_to": [reply] if reply else [],
        "message_id": str(form.get("message_id") or "").strip(),
        "dmarc": passed if passed in ("pass", "fail") else "",
    }


def _blank(_spec: Mapping[str, Any]) -> dict[str, Any]:
    return blank_answers(_FORM)


KIND = StepKind(
    name="mail",
    says="Read the reported mail",
    schema={
        "type": "object",
        "required": ["title"],
        "additionalProperties": False,
        "properties": dict(task_drafts.WORDS),
    },
    parse=parse,
    begin=begin,
    on_event=on_event,
    literal=frozenset({"form", "assign"}),
    defaults_of_form=_blank,
)
