"""Opens another incident for what belongs to a case of its own, and names each in the other."""

from typing import Any

from connectors.contract import CATEGORIES
from playbooks.contract import Body, Done, Event, Outcome, Perform, Skipped, StepKind, View

_SEVERITIES = ("info", "low", "medium", "high", "critical")
_VALUES = ("host", "user")


def parse(body: Body) -> dict[str, Any]:
    """`open: {title, category, severity, because, host, user}`."""
    table = body.table()
    if table is None:
        return {"title": "", "category": "other"}
    spec = {
        "title": table.text("title", required=True) or "",
        "category": table.choice("category", CATEGORIES, "other"),
        "severity": table.choice("severity", _SEVERITIES, "high"),
        "because": table.text("because") or "",
        **{name: table.text(name) or "" for name in _VALUES},
    }
    table.close()
    return spec


def begin(view: View) -> Outcome:
    """Ask for the incident; the same step never opens two."""
    spec = view.render(view.step.spec)
    if view.mode == "watch":
        return Skipped("watch mode: recorded only", would={"open": spec["title"]})
    return Perform("open", {name: str(value or "").strip() for name, value in spec.items()})


def on_event(_view: View, event: Event) -> Outcome:
    """It is open: its own playbook starts by itself."""
    return Done({"key": event.data.get("key")})


KIND = StepKind(
    name="open",
    says="Open another incident",
    schema={
        "type": "object",
        "required": ["title", "category"],
        "additionalProperties": False,
        "properties": {
            "title": {"type": "string"},
            "category": {"enum": list(CATEGORIES)},
            "severity": {"enum": list(_SEVERITIES)},
            "because": {"type": "string"},
            **{name: {"type": "string"} for name in _VALUES},
        },
    },
    parse=parse,
    begin=begin,
    on_event=on_event,
    literal=frozenset({"category", "severity"}),
)
