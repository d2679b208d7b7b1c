"""Work for a person: a title, instructions, a checklist and a form."""

from collections.abc import Mapping
from typing import Any

from incidents.form_formats import FORMATS
from playbooks import task_drafts
from playbooks.answers import blank_answers, in_order
from playbooks.asking import left_out
from playbooks.contract import Body, Done, Event, Failed, Outcome, Skipped, StepKind, View
from playbooks.language import plain

_FORMATS = ("text", *FORMATS)
_FIELD_TYPES = ("string", "boolean", "integer", "number", "array")


def parse(body: Body) -> dict[str, Any]:
    """`task: {title, instructions, assign, due, checklist, form, urgent}`; a plain text is the title."""
    if isinstance(body.value, str):
        body.reader.ignore("task")
        return task_drafts.blank(body.value)
    table = body.table()
    if table is None:
        return task_drafts.blank("")
    spec = task_drafts.read(table)
    form = table.mapping("form") or None
    if form is not None:
        form = _check_form(table, form)
    spec |= {"checklist": table.texts("checklist"), "form": form, "urgent": table.flag("urgent")}
    table.close()
    return spec


def _check_form(table: Any, form: dict[str, Any]) -> dict[str, Any]:
    fields = form.get("properties")
    if form.get("type", "object") != "object" or not isinstance(fields, dict) or not fields:
        table.wrong('"form" must be a JSON schema: {type: object, properties: {…}}', "form")
        return {"type": "object", "properties": {}, "required": []}
    for name, field in fields.items():
        if not isinstance(field, dict) or field.get("type", "string") not in _FIELD_TYPES:
            table.wrong(f'form field "{name}": "type" must be one of {", ".join(_FIELD_TYPES)}', "form")
        else:
            _check_kind(table, name, field)
    for name in form.get("required") or []:
        if name not in fields:
            table.wrong(f'the form requires "{name}", which is not among its properties', "form")
    return in_order({"type": "object", **plain(form)})


def _check_kind(table: Any, name: str, field: Mapping[str, Any]) -> None:
    """A field's values may be of a named kind; a regular expression of one's own is refused: it may take for ever."""
    items = field.get("items")
    for one in (field, items if isinstance(items, Mapping) else {}):
        if "pattern" in one:
            table.wrong(f'form field "{name}": "pattern" is not known; "format" is one of {", ".join(_FORMATS)}', "form")
        if one.get("format", "text") not in _FORMATS:
            table.wrong(f'form field "{name}": "format" is "{one["format"]}", but must be one of {", ".join(_FORMATS)}', "form")


def blank_form(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What the form holds before anybody answered."""
    return blank_answers(spec.get("form"))


def begin(view: View) -> Outcome:
    """Create the task, once."""
    spec = view.step.spec
    if view.mode == "watch":
        return Skipped("watch mode: recorded only", would={"task": view.render(spec["title"])})
    return task_drafts.make(view, spec)


def on_event(view: View, event: Event) -> Outcome:
    """The task was made, finished, or took too long."""
    if event.name == "performed":
        return task_drafts.wait(view, event)
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
                    **task_drafts.WORDS,
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
