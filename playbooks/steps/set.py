"""Remembers values for later steps, as vars.name."""

from typing import Any

from playbooks.contract import Body, Done, Event, Outcome, StepKind, View
from playbooks.language import check_id


def parse(body: Body) -> dict[str, Any]:
    """`set:` a mapping of names to values."""
    values = body.reader.mapping("set")
    if not values:
        body.reader.wrong('"set" must be a mapping of names to values', "set")
    for name in values:
        check_id(body.reader, "set", name)
    return {"values": values}


def begin(view: View) -> Outcome:
    """Work the values out and keep them."""
    values = view.render(view.step.spec["values"])
    return Done(values, assign=values)


def on_event(_view: View, _event: Event) -> Outcome:
    """Nothing ever happens to it."""
    return Done()


KIND = StepKind(
    name="set",
    says="Remember",
    schema={"type": "object", "minProperties": 1},
    parse=parse,
    begin=begin,
    on_event=on_event,
)
