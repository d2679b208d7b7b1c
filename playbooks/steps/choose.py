"""Takes the first branch whose condition holds, and keeps why."""

from collections.abc import Iterator, Mapping
from typing import Any

from playbooks.contract import Body, Done, Enter, Event, Failed, Outcome, Skipped, StepKind, Undecided, View
from playbooks.language import Reader, Rows, Table


def parse(body: Body) -> dict[str, Any]:
    """`choose:` a list of {when, steps}, the last of which may be {otherwise: steps}."""
    branches: list[dict[str, Any]] = []
    reader = body.reader
    if not isinstance(body.value, Rows) or not body.value:
        reader.wrong('"choose" must be a list of branches: {when: …, steps: […]}', "choose")
        return {"branches": branches}
    for number, row in enumerate(body.value):
        if not isinstance(row, Table):
            reader.notes.add(
                body.value.lines[number], f"{reader.where}: a branch must be a mapping with when and steps"
            )
            continue
        branch = Reader(row, reader.where, reader.notes)
        if branch.has("otherwise"):
            if number != len(body.value) - 1:
                branch.wrong('"otherwise" must be the last branch', "otherwise")
            body.block("otherwise", branch.value("otherwise"), "otherwise")
            branches.append({"block": "otherwise", "when": None, "name": branch.text("name")})
        else:
            when = (branch.text("when", required=True) or "false").strip()
            name = branch.text("name")
            body.block(str(number), branch.value("steps", Rows()), "steps")
            branches.append({"block": str(number), "when": when, "name": name})
        branch.close(("when", "steps", "otherwise", "name"))
    return {"branches": branches}


def conditions(spec: Mapping[str, Any]) -> Iterator[str]:
    """The branches' conditions."""
    for branch in spec["branches"]:
        if branch["when"] is not None:
            yield branch["when"]


def begin(view: View) -> Outcome:
    """Try each condition in order; the values each one saw are kept."""
    seen: list[dict[str, Any]] = []
    for branch in view.step.spec["branches"]:
        if branch["when"] is None:
            return _enter(branch, seen, "otherwise")
        why = view.explain(branch["when"])
        try:
            holds = view.holds(branch["when"])
        except Undecided as error:
            said = f"could not decide which branch to take: {error.message}"
            return Skipped(said) if view.mode == "watch" else Failed(said, retry=False)
        seen.append({**why, "holds": holds})
        if holds:
            return _enter(branch, seen, branch["when"])
    return Done({"branch": None}, note="no branch applies")


def _enter(branch: Mapping[str, Any], seen: list[dict[str, Any]], why: str) -> Enter:
    return Enter(
        (branch["block"],),
        detail={"chosen": branch["block"], "name": branch["name"], "why": why, "seen": seen},
    )


def on_event(view: View, _event: Event) -> Outcome:
    """The branch is finished."""
    return Done({"branch": view.detail.get("name") or view.detail.get("chosen")})


KIND = StepKind(
    name="choose",
    says="Decide",
    schema={
        "type": "array",
        "minItems": 1,
        "items": {
            "oneOf": [
                {
                    "type": "object",
                    "required": ["when", "steps"],
                    "additionalProperties": False,
                    "properties": {
                        "name": {"type": "string"},
                        "when": {"type": "string"},
                        "steps": {"$ref": "#/$defs/steps"},
                    },
                },
                {
                    "type": "object",
                    "required": ["otherwise"],
                    "additionalProperties": False,
                    "properties": {"name": {"type": "string"}, "otherwise": {"$ref": "#/$defs/steps"}},
                },
            ]
        },
    },
    parse=parse,
    begin=begin,
    on_event=on_event,
    conditions=conditions,
    literal=frozenset({"when", "block", "name"}),
)
