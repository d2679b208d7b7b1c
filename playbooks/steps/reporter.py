"""Writes to those who reported the incident: on their status page, and by mail where they gave an address."""

from typing import Any

from playbooks import task_drafts
from playbooks.asking import left_out
from playbooks.contract import Body, Done, Event, Outcome, Perform, Skipped, StepKind, View


def parse(body: Body) -> dict[str, Any]:
    """`reporter: {thanks: true}` or `reporter: {text, unreached, instructions}`."""
    spec: dict[str, Any] = {"thanks": False, "text": "", "unreached": "task", "instructions": None}
    table = body.table()
    if table is None:
        return spec
    spec = {
        "thanks": table.flag("thanks"),
        "text": table.text("text") or "",
        "unreached": table.choice("unreached", ("task", "skip"), "task"),
        "instructions": table.text("instructions"),
    }
    if spec["thanks"] == bool(spec["text"]):
        table.wrong('"reporter" needs either "thanks: true" or a "text"')
    table.close()
    return spec


def begin(view: View) -> Outcome:
    """Hand the words to those who reported."""
    spec = view.step.spec
    text = str(view.render(spec["text"]))
    if view.mode == "watch":
        return Skipped("watch mode: recorded only", would={"reporter": text or "thanks, with number and status link"})
    return Perform("reporter", {"thanks": spec["thanks"], "text": text}, detail={"stage": "telling", "text": text})


def on_event(view: View, event: Event) -> Outcome:
    """Told; or there is nobody to tell by Tocsin, and a person does it with the same words."""
    if event.name == "task" and event.data.get("state") == "skipped":
        return Skipped(left_out(event))
    if event.name == "task":
        return Done({"told": 0, "by_hand": True}, by=tuple(event.data.get("by", ())), note="done by hand")
    if view.detail.get("stage") == "asking":
        return task_drafts.wait(view, event)
    told, spec = int(event.data.get("told", 0)), view.step.spec
    if told:
        return Done({"told": told, "by_hand": False})
    if spec["thanks"] or spec["unreached"] == "skip":
        return Skipped("nobody who reported it can be written to by Tocsin")
    title = str(view.render(view.step.name))
    words = str(view.render(spec["instructions"])) if spec["instructions"] else ""
    asked = f"{words}\n\n> {view.detail['text']}\n\nTocsin has no address for who reported this, so it is yours.".strip()
    return Perform("task", task_drafts.blank(title, instructions=asked, due=4 * 3600.0), detail={"stage": "asking"})


KIND = StepKind(
    name="reporter",
    says="Write to who reported it",
    schema={
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "thanks": {"type": "boolean"},
            "text": {"type": "string"},
            "unreached": {"enum": ["task", "skip"]},
            "instructions": {"type": "string"},
        },
    },
    parse=parse,
    begin=begin,
    on_event=on_event,
    literal=frozenset({"unreached"}),
    goes_on=True,  # that somebody could not be thanked must never stop the response
)
