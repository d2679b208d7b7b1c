"""Changes the incident: severity, category, stage, tags, what people have isolated by hand for it, what is watched."""

from typing import Any

from playbooks import task_drafts
from playbooks.contract import Body, Done, Event, Outcome, Perform, Skipped, StepKind, View

_STAGES = ("triage", "investigate", "contain", "eradicate", "recover", "review")
_SEVERITIES = ("info", "low", "medium", "high", "critical")
_BY_HAND = ("isolated_by_hand", "released_by_hand")
_CONFIRMATIONS = ("suspected", "declared")


def parse(body: Body) -> dict[str, Any]:
    """`update: {severity, category, stage, confirmation, tags_add, isolated_by_hand, released_by_hand, watch, watch_for, reason}`."""
    table = body.table()
    if table is None:
        return {}
    spec: dict[str, Any] = {"reason": table.text("reason"), "tags_add": table.texts("tags_add")}
    for key, options in (("severity", _SEVERITIES), ("stage", _STAGES), ("confirmation", _CONFIRMATIONS)):
        value = table.text(key)
        if value is not None and "{{" not in value:
            value = table.choice(key, options, options[0])
        spec[key] = value
    for key in ("category", *_BY_HAND):
        spec[key] = table.text(key)
    spec["watch"] = table.texts("watch")
    spec["watch_for"] = table.duration("watch_for") if spec["watch"] else None
    table.close()
    if spec["watch"] and spec["watch_for"] is None:
        table.wrong('"watch" says which values; give "watch_for" too, such as 14d')
    if not any(value for key, value in spec.items() if key != "reason"):
        table.wrong(
            '"update" changes nothing; give severity, category, stage, confirmation, tags_add, isolated_by_hand, '
            "released_by_hand or watch"
        )
    return spec


def begin(view: View) -> Outcome:
    """Ask the incident's owner package to change it."""
    changes = {key: value for key, value in view.render(view.step.spec).items() if value}
    if watched := [value for value in task_drafts.lines(changes.pop("watch", [])) if value]:
        changes["watch"] = watched
    else:
        changes.pop("watch_for", None)
    if view.mode == "watch":
        return Skipped("watch mode: recorded only", would={"update": changes})
    return Perform("update", changes, detail={"changes": changes})


def on_event(view: View, _event: Event) -> Outcome:
    """Changed."""
    return Done(dict(view.detail.get("changes", {})))


KIND = StepKind(
    name="update",
    says="Change the incident",
    schema={
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "severity": {"type": "string"},
            "category": {"type": "string"},
            "stage": {"type": "string"},
            "confirmation": {"type": "string"},
            "tags_add": {"type": "array", "items": {"type": "string"}},
            **{key: {"type": "string", "description": "A host"} for key in _BY_HAND},
            "watch": {"type": ["array", "string"], "items": {"type": "string"}, "description": "Values of the incident"},
            "watch_for": {"type": "string", "description": "A duration, such as 14d"},
            "reason": {"type": "string"},
        },
    },
    parse=parse,
    begin=begin,
    on_event=on_event,
)
