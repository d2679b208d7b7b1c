"""Work for a person: a title, instructions, a checklist and a form."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from playbooks.answers import blank_answers
from playbooks.asking import left_out, may_wake, wrong_people
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
from playbooks.language import plain

_FIELD_TYPES = ("string", "boolean", "integer", "number", "array")


def parse(body: Body) -> dict[str, Any]:
    """`task: {title, instructions, assign, due, checklist, form}`; a plain text is the title."""
    if isinstance(body.value, str):
        body.reader.ignore("task")
        return _spec(body.value)
    table = body.table()
    if table is None:
        return _spec("")
    title = table.text("title", required=True) or ""
    assign = table.text("assign", "role:responder") or ""
    if wrong_people([assign]):
        table.wrong(f'"assign" is "{assign}"; write owner, role:…, user:… or on_call:…', "assign")
    form = table.mapping("form") or None
    if form is not None:
        form = _check_form(table, form)
    spec = _spec(
        title,
        instructions=table.text("instructions"),
        assign=assign,
        due=table.duration("due"),
        checklist=table.texts("checklist"),
        form=form,
        urgent=table.flag("urgent"),
    )
    table.close()
    return spec


def _spec(title: str, **more: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "title": title,
        "instructions": None,
        "assign": "role:responder",
        "due": None,
        "checklist": [],
        "form": None,
        "urgent": False,
    }
    return {**base, **more}


def _check_form(table: Any, form: dict[str, Any]) -> dict[str, Any]:
    fields = form.get("properties")
    if form.get("type", "object") != "object" or not isinstance(fields, dict) or not fields:
        table.wrong('"form" must be a JSON schema: {type: object, properties: {…}}', "form")
        return {"type": "object", "properties": {}, "required": []}
    for name, field in fields.items():
        if not isinstance(field, dict) or field.get("type", "string") not in _FIELD_TYPES:
            table.wrong(f'form field "{name}": "type" must be one of {", ".join(_FIELD_TYPES)}', "form")
    for name in form.get("required") or []:
        if name not in fields:
            table.wrong(f'the form requires "{name}", which is not among its properties', "form")
    # A plan and a database column keep a mapping's names sorted; people are asked in the order of the file.
    return {"type": "object", **plain(form), "order": list(fields)}


def blank_form(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What the form holds before anybody answered."""
    return blank_answers(spec.get("form"))


def begin(view: View) -> Outcome:
    """Create the task, once."""
    spec = view.step.spec
    if view.mode == "watch":
        return Skipped("watch mode: recorded only", would={"task": view.render(spec["title"])})
    draft = {key: view.render(spec[key]) for key in ("title", "instructions", "assign")}
    draft["checklist"] = _lines(view.render(spec["checklist"]))
    return Perform(
        "task",
        {**draft, "due": spec["due"], "form": spec["form"], "urgent": spec["urgent"] and may_wake(view)},
    )


def _lines(items: list[Any]) -> list[str]:
    """The checklist's lines; an entry that is a list itself stands for its lines."""
    return [str(line) for item in items for line in (item if isinstance(item, list | tuple) else [item])]


def on_event(view: View, event: Event) -> Outcome:
    """The task was made, finished, or took too long."""
    if event.name == "performed":
        due = view.now + timedelta(seconds=view.step.timeout) if view.step.timeout else None
        ref = event.data["ref"]
        return Blocked((WaitDraft(kind="task", ref=ref, due_at=due),), detail={"task": ref})
    if event.name == "task":
        if event.data.get("state") == "skipped":
            return Skipped(left_out(event))
        form = {**blank_form(view.step.spec), **(event.data.get("form") or {})}
        output = {"form": form, "checklist": event.data.get("checklist") or []}
        return Done(output, form=form, by=tuple(event.data.get("by", ())))
    return Failed("nobody finished the task in time", retry=False)


KIND = StepKind(
    name="task",
    says="Work for a person",
    schema={
        "oneOf": [
            {"type": "string"},
            {
                "type": "object",
                "required": ["title"],
                "additionalProperties": False,
                "properties": {
                    "title": {"type": "string"},
                    "instructions": {"type": "string"},
                    "assign": {"type": "string", "pattern": "^(owner|(role|user|on_call):.+)$"},
                    "due": {"$ref": "#/$defs/duration"},
                    "checklist": {
                        "oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]
                    },
                    "form": {"type": "object"},
                    "urgent": {"type": "boolean"},
                },
            },
        ]
    },
    parse=parse,
    begin=begin,
    on_event=on_event,
    literal=frozenset({"form", "assign"}),
    defaults_of_form=blank_form,
)
