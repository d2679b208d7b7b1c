"""A question to people before something is done: who must agree, how many, by when."""

from typing import Any

from playbooks.asking import agreed, ask, ask_again, nobody_answered, refusal, wrong_people
from playbooks.contract import Body, Done, Enter, Event, Failed, Outcome, Skipped, StepKind, View
from playbooks.language import Reader


def parse(body: Body) -> dict[str, Any]:
    """`approve: {ask, from, quorum, must, four_eyes, alone_after, expires, on_expire, escalate_to, steps}`."""
    table = body.table()
    if table is None:
        return {"ask": "", "from": [], "guards": False}
    question = table.text("ask", required=True) or ""
    who = table.texts("from") or ["role:responder"]
    for one in wrong_people(who):
        table.wrong(f'"from" holds "{one}"; write owner, role:…, user:… or on_call:…', "from")
    spec = {
        "ask": question,
        "from": who,
        "quorum": _quorum(table),
        "must": _must(table),
        "four_eyes": table.flag("four_eyes"),
        "alone_after": table.duration("alone_after"),
        "expires": table.duration("expires"),
        "on_expire": table.choice("on_expire", ("deny", "escalate", "fail"), "deny"),
        "escalate_to": table.text("escalate_to"),
        "guards": table.has("steps"),
    }
    if table.has("steps"):
        body.block("steps", table.value("steps"), "steps")
    table.close()
    return spec


def _quorum(table: Reader) -> int | str:
    """How many must agree: a number, or a template that gives one."""
    value = table.value("quorum", 1)
    return value if isinstance(value, str) and "{{" in value else table.whole("quorum", 1, 1, 20)


def _must(table: Reader) -> list[str] | str:
    """Of whom one each must be among those who agree: a list, or a template that gives one."""
    value = table.value("must", [])
    if isinstance(value, str) and "{{" in value:
        return value
    entries = table.texts("must")
    for one in wrong_people(entries):
        table.wrong(f'"must" holds "{one}"; write owner, role:…, user:… or on_call:…', "must")
    return entries


def begin(view: View) -> Outcome:
    """Put the question."""
    spec = view.step.spec
    question = str(view.render(spec["ask"]))
    if view.mode == "watch":
        if spec["guards"]:
            return Enter(("steps",), detail={"would": {"ask": question}})
        return Skipped("watch mode: recorded only", would={"ask": question})
    quorum = view.render(spec["quorum"])
    if not isinstance(quorum, int) or not 1 <= quorum <= 20:
        return Failed(f"the quorum must be a number from 1 to 20, but it is {quorum!r}", retry=False)
    who = [str(view.render(one)) for one in spec["from"]]
    must = [str(one) for one in view.render(spec["must"]) or ()]
    if wrong := wrong_people([*who, *must]):
        return Failed(f'"{wrong[0]}" cannot be asked; write owner, role:…, user:… or on_call:…', retry=False)
    return ask(view, question, {**spec, "from": list(dict.fromkeys([*who, *must])), "quorum": quorum, "must": must, "what": view.covered()})


def on_event(view: View, event: Event) -> Outcome:
    """Agreed: on, with the guarded steps. Refused or no answer: they stay undone."""
    if event.name == "performed":
        return ask_again(view)
    if event.name == "due":
        return nobody_answered(view)
    if event.name == "children":
        by = tuple(view.detail.get("approved_by", ()))
        told = {"approved": bool(by)}
        return Done({**told, "alone": True} if view.detail.get("alone") else told, by=by)
    by_whom = agreed(event)
    if by_whom is None:
        return refusal(view, event)
    if view.step.spec["guards"]:
        noted: dict[str, Any] = {"approved_by": list(by_whom)}
        return Enter(("steps",), detail={**noted, "alone": True} if event.data.get("alone") else noted)
    said = {"approved": True, "reason": event.data.get("reason")}
    return Done({**said, "alone": True} if event.data.get("alone") else said, by=by_whom)


KIND = StepKind(
    name="approve",
    says="Ask for agreement",
    schema={
        "type": "object",
        "required": ["ask"],
        "additionalProperties": False,
        "properties": {
            "ask": {"type": "string"},
            "from": {"$ref": "#/$defs/people"},
            "quorum": {"type": ["integer", "string"]},
            "must": {"$ref": "#/$defs/people"},
            "four_eyes": {"type": "boolean"},
            "alone_after": {"$ref": "#/$defs/duration"},
            "expires": {"$ref": "#/$defs/duration"},
            "on_expire": {"enum": ["deny", "escalate", "fail"]},
            "escalate_to": {"type": "string"},
            "steps": {"$ref": "#/$defs/steps"},
        },
    },
    parse=parse,
    begin=begin,
    on_event=on_event,
    literal=frozenset({"on_expire", "escalate_to"}),
)
