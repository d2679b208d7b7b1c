"""Runs another playbook's steps here, with inputs of its own."""

from typing import Any

from playbooks.contract import Body, Done, Enter, Event, Outcome, StepKind, View


def parse(body: Body) -> dict[str, Any]:
    """`playbook: key` with `with`."""
    key = body.reader.text("playbook", required=True) or ""
    given = body.reader.mapping("with")
    declared = body.call(key) if key else {}
    return {"playbook": key, "with": {**{name: wanted.default for name, wanted in declared.items()}, **given}}


def begin(view: View) -> Outcome:
    """Work out the inputs, then go in."""
    return Enter(("steps",), detail={"inputs": view.render(view.step.spec["with"])})


def on_event(view: View, _event: Event) -> Outcome:
    """Its steps are finished; what it set is its output."""
    return Done(dict(view.variables_of()))


KIND = StepKind(
    name="playbook",
    says="Run a playbook",
    schema={"type": "string", "description": "The key of another playbook of this file"},
    parse=parse,
    begin=begin,
    on_event=on_event,
    extra_keys=("with",),
    sends=frozenset({"with"}),
    literal=frozenset({"playbook"}),
)
