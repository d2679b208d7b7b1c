"""Turns a catalogue file (YAML, or Python beside the same declaration) into a Connector, or says what is wrong where."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from connectors import entities, rates
from connectors.bodies import LineParser
from connectors.contract import (
    FIELD_TYPES,
    KINDS,
    Action,
    Auth,
    Challenge,
    Connector,
    DeclarationError,
    Effect,
    Field,
    Health,
    Pagination,
    Poll,
    Probe,
    Rate,
    Request,
    Sample,
    Undo,
)
from connectors.located import At, Document, load, parse
from connectors.mapping import compile_alerts
from core.net import auth as credentials

Run = Callable[..., Any]  # an action's (context, inputs) -> output, or health's (context) -> sentence

_NAME = re.compile(r"[a-z][a-z0-9_]{1,40}")
_VERB = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")
_DURATION = re.compile(r"(\d{1,6})(ms|s|m|h|d)")
_UNITS = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")
_PAPS = ("clear", "green", "amber", "red")
_PROOFS = ("bearer", "url_token", "hmac", "github", "sns", "basic", "routing_key")
_TOP = (
    "connector", "name", "kind", "docs", "settings", "secrets", "auth", "alerts", "health", "actions", "samples",
    "proofs", "delivery_id", "challenge", "rate", "rate_reset", "quiet_after", "setup", "writes", "scopes",
)  # fmt: skip
_ACTION = (
    "title", "description", "verb", "effect", "idempotent", "input", "request", "ok", "absent", "pagination", "poll",
    "output", "probe", "undo", "no_undo", "instructions", "pap_limit", "run",
)  # fmt: skip


def from_yaml(path: Path) -> Connector:
    """The connector a YAML file declares; raises DeclarationError with every problem as a file:line sentence."""
    return build(load(path, path.name), path.stem, {}, None, path.parent.parent / "samples" / path.stem)


def from_text(
    text: str, name: str, runs: Mapping[str, Run] | None = None, parse_line: LineParser | None = None
) -> Connector:
    """Like `from_yaml`, from the declaration in a Python catalogue file; `runs` are its actions' and health's functions."""
    return build(
        parse(text, f"{name}.py"), name, runs or {}, parse_line, Path(__file__).parent / "samples" / name
    )


def build(
    document: Document, name: str, runs: Mapping[str, Run], parse_line: LineParser | None, samples: Path
) -> Connector:
    """Check a declaration and make the connector of it."""
    if document.problems:
        raise DeclarationError(document.problems)
    top = document.top
    members = dict(top.members(_TOP, ("connector", "name", "kind", "docs")))
    declared = members["connector"].text() if "connector" in members else name
    if declared != name:
        members["connector"].complain(
            f'is "{declared}" but the file is called "{name}": they must be the same'
        )
    docs = members["docs"].text() if "docs" in members else ""
    if docs and not docs.startswith("https://"):
        members["docs"].complain("must be an https:// address of the product's own documentation")
    actions = {key: _action(declared, key, at, runs) for key, at in _of(members, "actions")}
    _check_references(actions, members.get("actions"))
    connector = Connector(
        name=declared,
        title=members["name"].text() if "name" in members else name,
        kind=members["kind"].choice(KINDS, "generic") if "kind" in members else "generic",
        docs=docs,
        settings=tuple(_field(key, at) for key, at in _of(members, "settings")),
        secrets=tuple(_field(key, at) for key, at in _of(members, "secrets")),
        auth=_auth(members["auth"]) if "auth" in members else Auth(),
        alerts=compile_alerts(members["alerts"], members["name"].text(), parse_line)
        if "alerts" in members
        else None,
        health=_health(members["health"], runs) if "health" in members else None,
        actions=actions,
        samples=_samples(members.get("samples"), samples),
        proofs=tuple(e.choice(_PROOFS, "bearer") for e in members["proofs"].entries())
        if "proofs" in members
        else ("bearer", "url_token"),
        delivery_id=members["delivery_id"].text() if "delivery_id" in members else None,
        challenge=_challenge(members["challenge"]) if "challenge" in members else None,
        rates=_rates(members["rate"]) if "rate" in members else (),
        rate_reset=members["rate_reset"].text().lower() if "rate_reset" in members else None,
        quiet_after=_duration(members["quiet_after"]) if "quiet_after" in members else timedelta(hours=24),
        setup=members["setup"].text() if "setup" in members else "",
        **_writes(members.get("writes")),
        scopes=members["scopes"].text() if "scopes" in members else "",
    )
    if document.problems:
        raise DeclarationError(document.problems)
    return connector


def _writes(at: At | None) -> dict[str, str]:
    if at is None:
        return {}
    members = dict(at.members(("path", "only"), ("path",)))
    return {"writes": _text(members, "path"), "writes_only": _text(members, "only")}


def _of(members: Mapping[str, At], name: str) -> list[tuple[str, At]]:
    return list(members[name].members()) if name in members else []


def _text(members: Mapping[str, At], name: str, default: str = "") -> str:
    return members[name].text(default) if name in members else default


def _duration(at: At) -> timedelta:
    match = _DURATION.fullmatch(at.data) if isinstance(at.data, str) else None
    if match is None:
        at.complain(f'"{at.data}" is not a duration such as 30s, 5m, 1h or 7d')
        return timedelta(seconds=1)
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _field(name: str, at: At) -> Field:
    if at.data is None or at.data == {}:
        return Field(name)
    members = dict(at.members(("type", "required", "default", "description", "enum", "entity", "pattern")))
    kind = members["type"].choice(FIELD_TYPES, "string") if "type" in members else "string"
    entity = None
    if "entity" in members:
        entity = members["entity"].choice((*entities.TYPES, "ip", "auto"), "host")
    pattern = _text(members, "pattern") or None
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
        description=_text(members, "description"),
        enum=tuple(str(e.data) for e in members["enum"].entries()) if "enum" in members else (),
        entity=entity,
        pattern=pattern,
    )


def _auth(at: At) -> Auth:
    kinds = (*credentials.kinds(), "none")
    if not isinstance(at.data, dict) or "kind" not in at.data:
        at.complain(f"needs a kind: one of {', '.join(kinds)}")
        return Auth()
    kind = at["kind"].choice(kinds, "none")
    fields = credentials.fields_of(kind) if kind != "none" else ()
    required = [item.name for item in fields if item.required]
    members = dict(at.members(("kind", *(item.name for item in fields)), required))
    return Auth(kind, {name: member.data for name, member in members.items() if name != "kind"})


def _request(at: At) -> Request:
    names = ("method", "path", "params", "headers", "json", "form", "timeout", "idempotency_header")
    members = dict(at.members(names, ("method", "path")))
    return Request(
        method=members["method"].choice(_METHODS, "GET") if "method" in members else "GET",
        path=_text(members, "path", "/"),
        params=members["params"].data if "params" in members else {},
        headers=members["headers"].data if "headers" in members else {},
        json=members["json"].data if "json" in members else None,
        form=members["form"].data if "form" in members else None,
        timeout=members["timeout"].number(30) if "timeout" in members else 30.0,
        idempotency_header=_text(members, "idempotency_header") or None,
    )


def _health(at: At, runs: Mapping[str, Run]) -> Health:
    members = dict(at.members(("request", "ok", "run")))
    if "run" in members:
        run: Any = _run(members["run"], runs)
        return Health(run=run)
    if "request" not in members:
        at.complain("needs a request (or run, in a Python file)")
        return Health()
    ok = _text(members, "ok", Health.ok) or Health.ok
    return Health(request=_request(members["request"]), ok=ok)


def _run(at: At, runs: Mapping[str, Run]) -> Run | None:
    name = at.text()
    if name not in runs:
        at.complain(f'there is no function "{name}" in this file')
    return runs.get(name)


def _action(connector: str, name: str, at: At, runs: Mapping[str, Run]) -> Action:
    members = dict(at.members(_ACTION, ("title", "effect")))
    if not _NAME.fullmatch(name):
        at.complain("an action's name is lower-case letters, digits and underscores")
    verb = _text(members, "verb") or None
    if verb is not None and not _VERB.fullmatch(verb):
        members["verb"].complain(f'"{verb}" is not a verb such as firewall.block_ip')
    effect = (
        Effect(members["effect"].choice([str(e) for e in Effect], "destructive"))
        if "effect" in members
        else Effect.destructive
    )
    if ("request" in members) == ("run" in members):
        at.complain("needs exactly one of request and run")
    no_undo = _text(members, "no_undo") or None
    if effect.rank >= Effect.disruptive.rank and ("undo" in members) == (no_undo is not None):
        at.complain(
            f"is {effect}: it needs either undo, or no_undo with the reason why it cannot be taken back"
        )
    return Action(
        connector=connector,
        name=name,
        title=_text(members, "title"),
        effect=effect,
        inputs=tuple(_field(key, entry) for key, entry in _of(members, "input")),
        verb=verb,
        description=_text(members, "description"),
        idempotent=("idempotent" in members and members["idempotent"].flag()) or effect is Effect.read,
        request=_request(members["request"]) if "request" in members else None,
        run=_run(members["run"], runs) if "run" in members else None,
        ok=_text(members, "ok", Action.ok) or Action.ok,
        absent=tuple(int(e.number()) for e in members["absent"].entries()) if "absent" in members else (),
        pagination=_pagination(members["pagination"]) if "pagination" in members else None,
        poll=_poll(members["poll"]) if "poll" in members else None,
        output={key: entry.text() for key, entry in _of(members, "output")},
        probe=_probe(members["probe"]) if "probe" in members else None,
        undo=_undo(members["undo"]) if "undo" in members else None,
        no_undo=no_undo,
        instructions=_text(members, "instructions"),
        pap_limit=members["pap_limit"].choice(_PAPS, "amber") if "pap_limit" in members else None,
    )


def _pagination(at: At) -> Pagination:
    members = dict(at.members(("items", "next", "param", "max_pages"), ("items", "next")))
    pages = int(members["max_pages"].number(10)) if "max_pages" in members else 10
    return Pagination(_text(members, "items"), _text(members, "next"), _text(members, "param") or None, pages)


def _poll(at: At) -> Poll:
    members = dict(at.members(("request", "until", "every", "timeout"), ("request", "until")))
    return Poll(
        request=_request(members["request"]) if "request" in members else Request("GET", "/"),
        until=_text(members, "until"),
        every=_duration(members["every"]) if "every" in members else timedelta(seconds=2),
        timeout=_duration(members["timeout"]) if "timeout" in members else timedelta(minutes=2),
    )


def _challenge(at: At) -> Challenge:
    members = dict(at.members(("header", "member"), ("header", "member")))
    return Challenge(_text(members, "header"), _text(members, "member"))


def _rates(at: At) -> tuple[Rate, ...]:
    """One limit, or a list of limits that hold together."""
    found = []
    for entry in at.entries():
        members = dict(entry.members(("calls", "per"), ("calls", "per")))
        if len(members) < 2:
            continue
        rate = Rate(int(members["calls"].number(1)), _duration(members["per"]))
        if problem := rates.problem_of(members["calls"].number(1), rate.per):
            entry.complain(problem)
        found.append(rate)
    if len(found) > rates.MOST_RATES:
        at.complain(f"at most {rates.MOST_RATES} limits hold together")
    return tuple(found)


def _probe(at: At) -> Probe:
    members = dict(at.members(("action", "with", "request", "done_when"), ("done_when",)))
    if ("action" in members) == ("request" in members):
        at.complain("needs exactly one of action and request")
    return Probe(
        done_when=_text(members, "done_when"),
        action=_text(members, "action") or None,
        inputs=members["with"].data if "with" in members else {},
        request=_request(members["request"]) if "request" in members else None,
    )


def _undo(at: At) -> Undo:
    if isinstance(at.data, str):
        return Undo(at.text())
    members = dict(at.members(("action", "with"), ("action",)))
    return Undo(_text(members, "action"), members["with"].data if "with" in members else {})


def _check_references(actions: Mapping[str, Action], at: At | None) -> None:
    """Probes and undos name actions of this file; a probe only reads; inputs it passes exist."""
    for name, action in actions.items():
        for what, part in (("probe", action.probe), ("undo", action.undo)):
            if part is None or at is None or not part.action:
                continue
            here = at[name][what]
            target = actions.get(part.action)
            if target is None:
                here.complain(f'there is no action "{part.action}" in this file')
                continue
            if what == "probe" and target.effect is not Effect.read:
                here.complain(f'a probe only reads, but "{part.action}" is {target.effect}')
            known = {field.name for field in target.inputs}
            given = set(part.inputs) or {field.name for field in action.inputs} & known
            for extra in sorted(given - known):
                here.complain(f'"{part.action}" has no input "{extra}"')
            for field in target.inputs:
                if field.required and field.name not in given:
                    here.complain(f'"{part.action}" needs the input "{field.name}"')


def _samples(at: At | None, folder: Path) -> tuple[Sample, ...]:
    """Samples: `file` in connectors/samples/<connector>/, with what must be understood of it."""
    found = []
    for entry in at.entries() if at is not None else ():
        names = ("file", "content_type", "headers", "config", "expect", "scenario")
        members = dict(entry.members(names, ("file", "expect")))
        path = folder / _text(members, "file")
        try:
            body = path.read_bytes()
        except OSError as error:
            entry.complain(f"the sample {path.name} cannot be read: {error.strerror}")
            continue
        found.append(
            Sample(
                name=path.name,
                body=body,
                content_type=_text(members, "content_type", "application/json"),
                headers=members["headers"].data if "headers" in members else {},
                config=members["config"].data if "config" in members else {},
                expect=members["expect"].data if "expect" in members else {},
                scenario=_text(members, "scenario") or None,
            )
        )
    return tuple(found)


def input_schema(action: Action) -> dict[str, Any]:
    """The JSON Schema of an action's inputs, for forms and for checking."""
    kinds = {"text": "string", "url": "string"}
    properties: dict[str, Any] = {}
    for item in action.inputs:
        rule: dict[str, Any] = {"type": kinds.get(item.type, item.type), "description": item.description}
        if item.enum:
            rule["enum"] = list(item.enum)
        if item.pattern:
            rule["pattern"] = f"^(?:{item.pattern})$"
        if item.default is not None:
            rule["default"] = item.default
        if item.entity:
            rule["x-entity"] = item.entity
        properties[item.name] = rule
    required = [item.name for item in action.inputs if item.required]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
