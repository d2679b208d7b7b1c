"""Wakes whoever is on call."""

from typing import Any

from playbooks.asking import agreed, ask, ask_again, nobody_answered, refusal
from playbooks.contract import Body, Done, Event, Outcome, Perform, Skipped, StepKind, View


PARTS = ("owner", "communications", "scribe")
"""Parts that people take in an incident, by which a page can reach them; `owner` is the lead."""


def parse(body: Body) -> dict[str, Any]:
    """`page: {policy, message, first}`."""
    table = body.table()
    if table is None:
        return {"policy": "", "message": "", "first": []}
    spec = {
        "policy": table.text("policy", required=True) or "",
        "message": table.text("message", required=True) or "",
        "first": table.texts("first"),
    }
    for one in spec["first"]:
        if one not in PARTS and not one.startswith("user:") and "{{" not in one:
            table.wrong(f'"first" holds "{one}"; write {", ".join(PARTS)} or user:…', "first")
    table.close()
    return spec


def _named(first: list[str]) -> list[str]:
    """Those who are named, each once; a template may have named nobody."""
    return [one for one in dict.fromkeys(first) if one in PARTS or one.removeprefix("user:").strip()]


def _page(view: View) -> Perform:
    spec = view.step.spec
    return Perform(
        "page",
        {
            "policy": str(view.render(spec["policy"])),
            "message": str(view.render(spec["message"])),
            "first": _named([str(view.render(one)) for one in spec["first"]]),
        },
        detail={"stage": "paging"},
    )


def begin(view: View) -> Outcome:
    """Page; an incident of old alerts, or of a source in its first day, wakes nobody without a person's word."""
    spec = view.step.spec
    if view.mode == "watch":
        return Skipped("watch mode: recorded only", would={"page": view.render(spec["message"])})
    if view.hushed and not view.approved_by:
        why = f"{view.hushed}, so nobody is woken by itself"
        policy = view.render(spec["policy"])
        what = [{"action": "page", "effect": "write", "inputs": {"policy": policy}}]
        return ask(view, f"Page {policy}: {view.render(spec['message'])}", {"what": what, "why": why})
    return _page(view)


def on_event(view: View, event: Event) -> Outcome:
    """The page is written down; delivering it is not the run's business."""
    if event.name == "performed" and view.detail.get("stage") != "paging":
        return ask_again(view)
    if event.name == "performed":
        return Done({"page": event.data.get("ref")})
    if event.name == "due":
        return nobody_answered(view)
    return _page(view) if agreed(event) is not None else refusal(view, event)


KIND = StepKind(
    name="page",
    says="Page",
    schema={
        "type": "object",
        "required": ["policy", "message"],
        "additionalProperties": False,
        "properties": {
            "policy": {"type": "string"},
            "message": {"type": "string"},
            "first": {
                "oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
                "description": "Who is reached before the policy, one after the other: owner, communications, scribe, user:…",
            },
        },
    },
    parse=parse,
    begin=begin,
    on_event=on_event,
    goes_on=True,  # that nobody could be told must never stop the response
)
