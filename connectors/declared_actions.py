"""Reads the actions that a catalogue file declares: inputs, requests, look-ups, outputs, probes and undos."""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from connectors import entities
from connectors.contract import (
    FIELD_TYPES,
    Action,
    Effect,
    Field,
    Find,
    Lines,
    Made,
    Pagination,
    Poll,
    Probe,
    Refusal,
    Request,
    Undo,
)
from connectors.located import At

Run = Callable[..., Any]  # an action's (context, inputs) -> output, or health's (context) -> sentence

_NAME = re.compile(r"[a-z][a-z0-9_]{1,40}")
_VERB = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")
_DURATION = re.compile(r"(\d{1,6})(ms|s|m|h|d)")
_UNITS = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")
_PAPS = ("clear", "green", "amber", "red")
_ACTION = (
    "title", "description", "verb", "effect", "idempotent", "input", "refuse", "find", "request", "ok", "absent", "pagination",
    "poll", "output", "keep_answer", "probe", "undo", "no_undo", "instructions", "pap_limit", "run",
)  # fmt: skip


def members_of(members: Mapping[str, At], name: str) -> list[tuple[str, At]]:
    """The members of the mapping `name`; none when it is absent."""
    return list(members[name].members()) if name in members else []


def text_of(members: Mapping[str, At], name: str, default: str = "") -> str:
    """The text of the member `name`; `default` when it is absent."""
    return members[name].text(default) if name in members else default


def duration_of(at: At) -> timedelta:
    """A time such as 30s or 7d."""
    match = _DURATION.fullmatch(at.data) if isinstance(at.data, str) else None
    if match is None:
        at.complain(f'"{at.data}" is not a duration such as 30s, 5m, 1h or 7d')
        return timedelta(seconds=1)
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def field_of(name: str, at: At) -> Field:
    """A setting, a secret or an input."""
    if at.data is None or at.data == {}:
        return Field(name)
    members = dict(at.members(("type", "required", "default", "description", "enum", "entity", "pattern")))
    kind = members["type"].choice(FIELD_TYPES, "string") if "type" in members else "string"
    entity = None
    if "entity" in members:
        entity = members["entity"].choice((*entities.TYPES, "ip", "auto", "any"), "host")
    pattern = text_of(members, "pattern") or None
    if pattern is not None:
        try:
            re.compile(pattern)
        except re.error as error:
            members["pattern"].complain(f"is not a regular expression: {error}")
    return Field(
        name=name,
        type=kind,
        required="required" in members and members["required"].flag(),
        default=members["default"].data if "default" in members else None,
        description=text_of(members, "description"),
        enum=tuple(str(e.data) for e in members["enum"].entries()) if "enum" in members else (),
        entity=entity,
        pattern=pattern,
    )


def request_of(at: At) -> Request:
    """One HTTP request."""
    names = ("method", "path", "params", "headers", "json", "form", "timeout", "idempotency_header")
    members = dict(at.members(names, ("method", "path")))
    return Request(
        method=members["method"].choice(_METHODS, "GET") if "method" in members else "GET",
        path=text_of(members, "path", "/"),
        params=members["params"].data if "params" in members else {},
        headers=members["headers"].data if "headers" in members else {},
        json=members["json"].data if "json" in members else None,
        form=members["form"].data if "form" in members else None,
        timeout=members["timeout"].number(30) if "timeout" in members else 30.0,
        idempotency_header=text_of(members, "idempotency_header") or None,
    )


def run_of(at: At, runs: Mapping[str, Run]) -> Run | None:
    """The function of this name in a Python file."""
    name = at.text()
    if name not in runs:
        at.complain(f'there is no function "{name}" in this file')
    return runs.get(name)


def action_of(connector: str, name: str, at: At, runs: Mapping[str, Run]) -> Action:
    """One action of a connector."""
    members = dict(at.members(_ACTION, ("title", "effect")))
    if not _NAME.fullmatch(name):
        at.complain("an action's name is lower-case letters, digits and underscores")
    verb = text_of(members, "verb") or None
    if verb is not None and not _VERB.fullmatch(verb):
        members["verb"].complain(f'"{verb}" is not a verb such as firewall.block_ip')
    effect = (
        Effect(members["effect"].choice([str(e) for e in Effect], "destructive"))
        if "effect" in members
        else Effect.destructive
    )
    if ("request" in members) == ("run" in members):
        at.complain("needs exactly one of request and run")
    for word in ("find", "refuse"):
        if "run" in members and word in members:
            members[word].complain("is for declared requests: a function asks by itself")
    no_undo = text_of(members, "no_undo") or None
    if effect.rank >= Effect.disruptive.rank and ("undo" in members) == (no_undo is not None):
        at.complain(
            f"is {effect}: it needs either undo, or no_undo with the reason why it cannot be taken back"
        )
    return Action(
        connector=connector,
        name=name,
        title=text_of(members, "title"),
        effect=effect,
        inputs=tuple(field_of(key, entry) for key, entry in members_of(members, "input")),
        verb=verb,
        description=text_of(members, "description"),
        idempotent=("idempotent" in members and members["idempotent"].flag()) or effect is Effect.read,
        request=request_of(members["request"]) if "request" in members else None,
        run=run_of(members["run"], runs) if "run" in members else None,
        ok=text_of(members, "ok", Action.ok) or Action.ok,
        absent=tuple(int(e.number()) for e in members["absent"].entries()) if "absent" in members else (),
        pagination=_pagination(members["pagination"]) if "pagination" in members else None,
        poll=_poll(members["poll"]) if "poll" in members else None,
        refuse=_refusal(members["refuse"]) if "refuse" in members else None,
        find=tuple(_find(key, entry) for key, entry in members_of(members, "find")),
        output={key: _output(entry) for key, entry in members_of(members, "output")},
        keep_answer="keep_answer" not in members or members["keep_answer"].flag(),
        probe=_probe(members["probe"]) if "probe" in members else None,
        undo=_undo(members["undo"]) if "undo" in members else None,
        no_undo=no_undo,
        instructions=text_of(members, "instructions"),
        pap_limit=members["pap_limit"].choice(_PAPS, "amber") if "pap_limit" in members else None,
    )


def _refusal(at: At) -> Refusal:
    members = dict(at.members(("when", "why"), ("when", "why")))
    return Refusal(text_of(members, "when"), text_of(members, "why"))


def _find(name: str, at: At) -> Find:
    members = dict(at.members(("request", "action", "with", "one", "all", "most", "missing", "equals")))
    if ("request" in members) == ("action" in members):
        at.complain("needs exactly one of request and action (a read action of this file)")
    if ("one" in members) == ("all" in members):
        at.complain("needs exactly one of one (a path to a single value) and all (a path to a list)")
    many = "all" in members
    return Find(
        name=name,
        path=text_of(members, "all" if many else "one"),
        request=request_of(members["request"]) if "request" in members else None,
        action=text_of(members, "action") or None,
        inputs=members["with"].data if "with" in members else {},
        many=many,
        most=int(members["most"].number(500)) if "most" in members else 500,
        missing=text_of(members, "missing"),
        equals=text_of(members, "equals"),
    )


def _output(at: At) -> str | Lines | Made:
    """A path, lines made of a list (`each`, `line`), or a `value` made by a template."""
    if not isinstance(at.data, dict):
        return at.text()
    if "value" in at.data:
        return Made(text_of(dict(at.members(("value",))), "value"))
    members = dict(at.members(("each", "line"), ("each", "line")))
    return Lines(text_of(members, "each"), text_of(members, "line"))


def _pagination(at: At) -> Pagination:
    members = dict(at.members(("items", "next", "param", "max_pages"), ("items", "next")))
    pages = int(members["max_pages"].number(10)) if "max_pages" in members else 10
    return Pagination(
        text_of(members, "items"), text_of(members, "next"), text_of(members, "param") or None, pages
    )


def _poll(at: At) -> Poll:
    members = dict(at.members(("request", "until", "every", "timeout"), ("request", "until")))
    return Poll(
        request=request_of(members["request"]) if "request" in members else Request("GET", "/"),
        until=text_of(members, "until"),
        every=duration_of(members["every"]) if "every" in members else timedelta(seconds=2),
        timeout=duration_of(members["timeout"]) if "timeout" in members else timedelta(minutes=2),
    )


def _probe(at: At) -> Probe:
    members = dict(at.members(("action", "with", "request", "done_when"), ("done_when",)))
    if ("action" in members) == ("request" in members):
        at.complain("needs exactly one of action and request")
    return Probe(
        done_when=text_of(members, "done_when"),
        action=text_of(members, "action") or None,
        inputs=members["with"].data if "with" in members else {},
        request=request_of(members["request"]) if "request" in members else None,
    )


def _undo(at: At) -> Undo:
    if isinstance(at.data, str):
        return Undo(at.text())
    members = dict(at.members(("action", "with"), ("action",)))
    return Undo(text_of(members, "action"), members["with"].data if "with" in members else {})


def check_references(actions: Mapping[str, Action], at: At | None) -> None:
    """Look-ups, probes and undos name actions of this file; the first two only read; inputs they pass exist."""
    if at is None:
        return
    for name, action in actions.items():
        for part in action.find:
            here = at[name]["find"][part.name]
            target = _named(part.action, actions, here, "look-up")
            if target is not None:
                _check_inputs(part.inputs, action, target, here)
                if any(inner.action for inner in target.find):
                    here.complain(f'"{target.name}" looks something up by an action itself: name that one')
        if action.probe is not None:
            here = at[name]["probe"]
            target = _named(action.probe.action, actions, here, "probe")
            if target is not None:
                _check_inputs(action.probe.inputs, action, target, here)
        if action.undo is not None:
            here = at[name]["undo"]
            target = _named(action.undo.action, actions, here, None)
            if target is not None:
                _check_inputs(action.undo.inputs, action, target, here)


def _named(name: str | None, actions: Mapping[str, Action], here: At, reader: str | None) -> Action | None:
    """The action of this name; one that is asked by a `reader` only reads."""
    if not name:
        return None
    target = actions.get(name)
    if target is None:
        here.complain(f'there is no action "{name}" in this file')
    elif reader is not None and target.effect is not Effect.read:
        here.complain(f'a {reader} only reads, but "{name}" is {target.effect}')
    return target


def _check_inputs(inputs: Mapping[str, Any], action: Action, target: Action, here: At) -> None:
    known = {field.name for field in target.inputs}
    given = set(inputs) or {field.name for field in action.inputs} & known
    for extra in sorted(given - known):
        here.complain(f'"{target.name}" has no input "{extra}"')
    for field in target.inputs:
        if field.required and field.name not in given:
            here.complain(f'"{target.name}" needs the input "{field.name}"')
