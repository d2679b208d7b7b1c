"""An action of a product, or a neutral verb that some product carries out."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from playbooks import manual
from playbooks.answers import blank_answers
from playbooks.asking import agreed, ask, ask_again, left_out, may_wake, must_ask, nobody_answered, refusal
from playbooks.contract import (
    Blocked,
    Body,
    Done,
    EnterLoop,
    Event,
    Failed,
    Outcome,
    Perform,
    Refused,
    Skipped,
    StepKind,
    View,
    WaitDraft,
)
from playbooks.durations import say_duration

CONFIRM_FIRST, CONFIRM_EVERY = timedelta(seconds=10), timedelta(minutes=1)
_NETWORK_VERBS = ("network.", "firewall.", "dns.", "proxy.", "blocklist.", "mail.")


def parse(body: Body) -> dict[str, Any]:
    """`action: name` with `with`, `instance`, `reason`, `ask`, `instructions`, `undo_after`, `review_after`, `confirm`."""
    reader = body.reader
    name = reader.text("action", required=True) or ""
    inputs = reader.mapping("with")
    info = body.action(name)
    undo_after, review_after = reader.duration("undo_after"), reader.duration("review_after")
    effect = info.effect if info else "disruptive"
    if info and info.inputs is not None:
        for word in inputs:
            if word not in info.inputs:
                from_list = ", ".join(sorted(info.inputs)) or "none"
                reader.wrong(f'"{name}" has no input "{word}"; it has: {from_list}', "with")
        for word, required in info.inputs.items():
            if required and word not in inputs:
                reader.wrong(f'"{name}" needs the input "{word}"', "with" if reader.has("with") else "action")
    for word, fits in (info.fits if info else {}).items():
        if inputs.get(word) is not None and not fits(inputs[word]):
            reader.wrong(f'"{name}" takes no {type(inputs[word]).__name__} for "{word}"', "with")
    if undo_after is not None and not (info and (info.verb or info.name).startswith(_NETWORK_VERBS)):
        reader.wrong(
            '"undo_after" is only for blocked addresses, domains and URLs: an account or a host given back by a '
            'timer may be given back to the attacker; use "review_after", which asks a person',
            "undo_after",
        )
    if undo_after is not None and effect == "read":
        reader.wrong(f'"{name}" only reads; there is nothing to undo', "undo_after")
    confirm = reader.duration("confirm")
    if confirm is not None and effect == "read":
        reader.wrong(f'"{name}" only reads; there is nothing to confirm', "confirm")
    return {
        "action": name,
        "with": inputs,
        "effect": effect,
        "instance": reader.text("instance"),
        "reason": reader.text("reason"),
        "instructions": reader.text("instructions"),
        "by_hand": info.by_hand if info else "",
        "asked": dict(info.form) if info and info.form else None,
        "unbound": reader.choice("unbound", ("task", "skip"), "task"),
        "from": reader.texts("ask"),
        "undo_after": undo_after,
        "review_after": review_after,
        "confirm": confirm,
    }


def _title(view: View) -> str:
    title = view.render(view.step.name)
    return str(title)


def _request(view: View, inputs: Mapping[str, Any], by: tuple[str, ...]) -> Perform:
    spec = view.step.spec
    return Perform(
        "call",
        {
            "action": spec["action"],
            "inputs": dict(inputs),
            "instance": spec.get("instance"),
            "reason": view.render(spec["reason"]) if spec.get("reason") else _title(view),
            "approved_by": list(by),
            "undo_after": spec.get("undo_after"),
            "review_after": spec.get("review_after"),
        },
        detail={"inputs": dict(inputs), "approved_by": list(by), "stage": "requested"},
    )


def _unbound(view: View, inputs: Any) -> Outcome:
    """No product can do it: the same work as a task for a person, one for a whole list."""
    spec = view.step.spec
    if spec["unbound"] == "skip":
        return Skipped(f"no connected product can do {spec['action']}")
    written = str(view.render(spec["instructions"])) if spec.get("instructions") else None
    told = manual.words(spec["action"], spec["by_hand"], inputs, written)
    wakes = may_wake(view)
    draft = manual.task(
        _title(view), told, inputs, effect=spec["effect"], form=spec.get("asked"), wakes=wakes
    )
    return Perform("task", draft, detail={"stage": "manual", "inputs": inputs})


def _asked(view: View, why: str, what: list[dict[str, Any]], detail: dict[str, Any]) -> Blocked:
    spec = view.step.spec
    return ask(view, f"{_title(view)}?", {"from": spec.get("from"), "what": what, "why": why}, detail=detail)


def _what(view: View, inputs: Any) -> dict[str, Any]:
    return {"action": view.step.spec["action"], "effect": view.step.spec["effect"], "inputs": inputs}


def begin(view: View) -> Outcome:
    """Ask first where the mode or the incident says so; otherwise request the call."""
    spec = view.step.spec
    inputs = view.render(spec["with"])
    if view.mode == "watch":
        return Skipped("watch mode: recorded only", would=_what(view, inputs))
    if not view.is_bound(spec["action"]):
        return _unbound(view, inputs)
    why = must_ask(view, spec["effect"])
    if why:
        return _asked(view, why, [_what(view, inputs)], {"stage": "asking", "inputs": inputs})
    return _request(view, inputs, view.approved_by)


def begin_loop(view: View) -> Outcome:
    """One question, or one manual task, for the whole list."""
    spec = view.step.spec
    if view.mode == "watch" or not view.items:
        return EnterLoop()
    if not view.is_bound(spec["action"]):
        return _unbound(view, view.render_each(spec["with"]))
    why = must_ask(view, spec["effect"])
    if why:
        return _asked(
            view, why, [_what(view, one) for one in view.render_each(spec["with"])], {"stage": "asking_loop"}
        )
    return EnterLoop()


def on_event(view: View, event: Event) -> Outcome:
    """Go on when people answered, the door answered, or the product answered."""
    stage = view.detail.get("stage")
    if event.name == "approval":
        return _answered(view, event, stage)
    if event.name == "performed":
        return _performed(view, event, stage)
    if event.name == "call":
        return _called(view, event)
    if event.name == "task" and event.data.get("state") == "skipped":
        return Skipped(left_out(event))
    if event.name == "task":
        said = event.data.get("form") or {}
        done = Done(
            {**_whole(view, said), "by_hand": True},
            form=said,
            by=tuple(event.data.get("by", ())),
            note="done by hand",
        )
        return _look_again(view, done)
    if event.name == "due" and stage == "confirming":
        return Perform("proof", {"call": view.detail.get("call")})
    if event.name == "due" and stage in ("asking", "asking_loop"):
        return nobody_answered(view)
    if event.name == "due" and stage == "unknown":
        return Failed("nobody could say whether it happened", retry=False)
    return Failed("it took longer than its timeout allows")


def _answered(view: View, event: Event, stage: Any) -> Outcome:
    by = agreed(event)
    if stage == "unknown":
        if by is not None:
            return _look_again(
                view, Done({"confirmed_by": list(by)}, by=by, note="a person confirmed that it happened")
            )
        return Failed("a person said that it did not happen")
    if by is None:
        return refusal(view, event)
    if stage == "asking_loop":
        return EnterLoop(detail={"approved_by": list(by), "stage": "loop"})
    return _request(view, view.detail["inputs"], by)


def _performed(view: View, event: Event, stage: Any) -> Outcome:
    spec = view.step.spec
    if stage in ("asking", "asking_loop"):
        return ask_again(view)
    if stage == "reviewing":
        kept = view.detail["done"]
        return Done(kept["output"], form=kept["form"], by=tuple(kept["by"]), note=kept["note"])
    if stage == "confirming":
        return _confirmed(view, event.data.get("proof"))
    if stage == "manual":
        return Blocked((WaitDraft(kind="task", ref=event.data["ref"]),), detail={"task": event.data["ref"]})
    state = event.data.get("state")
    if state == "refused":
        return Refused(str(event.data.get("reason") or "a guard rail refused it"))
    if state == "dry_run":
        return Done(_whole(view, event.data.get("output")), note="dry run: nothing was sent")
    if state == "unbound":
        return _unbound(view, view.detail.get("inputs", {}))
    due = view.now + timedelta(seconds=view.step.timeout) if view.step.timeout and state != "held" else None
    note = {"held": str(event.data.get("reason") or "all automation is on hold")} if state == "held" else {}
    wait = WaitDraft(
        kind="call", ref=event.data["ref"], due_at=due, detail={"action": spec["action"], **note}
    )
    return Blocked((wait,), detail={"call": event.data["ref"], **note})


def _called(view: View, event: Event) -> Outcome:
    state = event.data.get("state")
    if state == "succeeded":
        done = Done(_whole(view, event.data.get("output")), by=tuple(view.detail.get("approved_by", ())))
        if view.step.spec.get("confirm") is not None:
            kept = {"output": done.output, "by": list(done.by), "reviewed": bool(event.data.get("reviewed"))}
            until = view.now + timedelta(seconds=view.step.spec["confirm"])
            return Perform("proof", {"call": view.detail.get("call")}, {"stage": "confirming", "accepted": kept, "until": until.isoformat()})
        return done if event.data.get("reviewed") else _look_again(view, done)
    if state == "unknown":
        question = f'Did "{_title(view)}" happen? The product did not answer; look there, then say.'
        blocked = ask(
            view, question, {"from": view.step.spec.get("from"), "question": "unknown"}, {"stage": "unknown"}
        )
        return Blocked(
            (*blocked.waits, WaitDraft(kind="call", ref=view.detail.get("call"))), detail=blocked.detail
        )
    if state in ("refused", "cancelled"):
        return Refused(str(event.data.get("error") or "a guard rail refused it"))
    return Failed(str(event.data.get("error") or "the product refused"))


def _confirmed(view: View, proof: Any) -> Outcome:
    """What was accepted is not what happened: ask each minute whether it holds, until the time for it is over."""
    kept, until = view.detail["accepted"], datetime.fromisoformat(view.detail["until"])
    if proof in ("holds", None):  # None: no product can say; a person makes sure
        output = kept["output"] if isinstance(kept["output"], Mapping) else {}
        done = Done({**output, "confirmed": proof == "holds"}, by=tuple(kept["by"]))
        return done if kept["reviewed"] else _look_again(view, done)
    if proof == "not" or view.now >= until:
        span = say_duration(view.step.spec["confirm"])
        said = "the product says that it does not hold" if proof == "not" else f"not confirmed within {span}"
        return Failed(f"{said}: it was accepted, but may not have happened", retry=False)
    young = view.now < until - timedelta(seconds=view.step.spec["confirm"]) + CONFIRM_EVERY
    again = min(view.now + (CONFIRM_FIRST if young else CONFIRM_EVERY), until)
    return Blocked((WaitDraft(kind="timer", due_at=again, detail={"for": "until the product confirms it"}),))


def _whole(view: View, output: Any) -> Any:
    """What was answered, with everything the verb promises: blank where nobody said."""
    form = view.step.spec.get("asked")
    if form is None or not (output is None or isinstance(output, Mapping)):
        return output
    said = {name: value for name, value in (output or {}).items() if value is not None}
    return {**(output or {}), **blank_answers(form), **said}


def _look_again(view: View, done: Done) -> Outcome:
    """What is to be looked at again, and leaves no countermeasure whose own review would ask, has a task due then."""
    after = view.step.spec.get("review_after")
    if after is None:
        return done
    draft = {
        "title": f"Look again: {_title(view)}",
        "instructions": "Nothing is taken back by itself. Look at what happened since, then decide: leave it, or take it back.",
        "assign": "owner",
        "due": after,
        "urgent": False,
        "checklist": [],
        "form": None,
        "purpose": "review",
    }
    kept = {"output": done.output, "form": dict(done.form), "by": list(done.by), "note": done.note}
    return Perform("task", draft, {"stage": "reviewing", "done": kept})


KIND = StepKind(
    name="action",
    says="Call a product",
    schema={
        "type": "string",
        "description": "An action (okta.suspend_user) or a neutral verb (identity.disable_user)",
    },
    parse=parse,
    begin=begin,
    on_event=on_event,
    begin_loop=begin_loop,
    extra_keys=("with", "instance", "reason", "instructions", "unbound", "ask", "undo_after", "review_after", "confirm"),
    sends=frozenset({"with"}),
    literal=frozenset({"action", "effect", "from", "instance", "by_hand", "asked", "unbound"}),
)
