"""Reads the reported mail that is kept with the incident; where none is kept, a person is asked for the original."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from playbooks.answers import blank_answers
from playbooks.asking import left_out, wrong_people
from playbooks.contract import (
    Blocked,
    Body,
    Done,
    Event,
    Failed,
    Outcome,
    Perform,
    Skipped,
    StepKind,
    View,
    WaitDraft,
)
from playbooks.weighing import UNKNOWN

_WHO = "role:responder"
_FORM = {
    "type": "object",
    "required": ["sender", "passed"],
    "properties": {
        "sender": {"type": "string", "title": "Which address stands in From?"},
        "reply_to": {"type": "string", "title": "Which address stands in Reply-To, if another?"},
        "message_id": {"type": "string", "title": "Which Message-ID?"},
        "passed": {"type": "string", "title": "What does DMARC say, else SPF and DKIM?", "enum": ["pass", "fail", "nothing"]},
    },
}  # fmt: skip


def parse(body: Body) -> dict[str, Any]:
    """`mail: {title, instructions, assign, due}`: the task for when no original is kept."""
    spec: dict[str, Any] = {"title": "Attach the original mail", "instructions": None, "assign": _WHO, "due": None, "form": _FORM}
    table = body.table()
    if table is None:
        return spec
    assign = table.text("assign", _WHO) or _WHO
    if wrong_people([assign]):
        table.wrong(f'"assign" is "{assign}"; write owner, role:…, user:… or on_call:…', "assign")
    spec |= {
        "title": table.text("title", required=True) or "",
        "instructions": table.text("instructions"),
        "assign": assign,
        "due": table.duration("due"),
    }
    table.close()
    return spec


def begin(_view: View) -> Outcome:
    """Look for what was read when the mail came in."""
    return Perform("mail", {}, detail={"stage": "reading"})


def on_event(view: View, event: Event) -> Outcome:
    """Read; or ask for it, and read again what was attached."""
    stage = view.detail.get("stage")
    if event.name == "performed" and stage == "asking":
        ref = event.data["ref"]
        due = view.now + timedelta(seconds=view.step.timeout) if view.step.timeout else None
        return Blocked((WaitDraft(kind="task", ref=ref, due_at=due),), detail={"task": ref})
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
    spec = view.step.spec
    draft = {key: view.render(spec[key]) for key in ("title", "instructions", "assign")}
    more = {"checklist": [], "due": spec["due"], "form": spec["form"], "urgent": False}
    return Perform("task", {**draft, **more}, detail={"stage": "asking"})


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
        "properties": {
            "title": {"type": "string"},
            "instructions": {"type": "string"},
            "assign": {"type": "string", "pattern": "^(owner|(role|user|on_call):.+)$"},
            "due": {"$ref": "#/$defs/duration"},
        },
    },
    parse=parse,
    begin=begin,
    on_event=on_event,
    literal=frozenset({"form", "assign"}),
    defaults_of_form=_blank,
)
