"""Runs branches side by side; each is one step or a list of steps."""

from typing import Any

from playbooks.contract import Body, Done, Enter, Event, Outcome, StepKind, View
from playbooks.language import Rows


def parse(body: Body) -> dict[str, Any]:
    """`parallel:` a list whose items are steps, or lists of steps."""
    if not isinstance(body.value, Rows) or not body.value:
        body.reader.wrong('"parallel" must be a list of steps, or of lists of steps', "parallel")
        return {}
    for number, row in enumerate(body.value):
        if isinstance(row, Rows):
            body.block(str(number), row, "parallel")
        else:
            alone = Rows([row])
            alone.line, alone.lines = body.value.lines[number], [body.value.lines[number]]
            body.block(str(number), alone, "parallel")
    return {}


def begin(view: View) -> Outcome:
    """Start every branch."""
    return Enter(tuple(view.step.blocks), side_by_side=True)


def on_event(_view: View, _event: Event) -> Outcome:
    """All branches are finished."""
    return Done()


KIND = StepKind(
    name="parallel",
    says="Side by side",
    schema={
        "type": "array",
        "minItems": 1,
        "items": {"oneOf": [{"$ref": "#/$defs/step"}, {"$ref": "#/$defs/steps"}]},
    },
    parse=parse,
    begin=begin,
    on_event=on_event,
    runs_all=True,
)
