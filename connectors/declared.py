"""Turns a catalogue file (YAML, or Python beside the same declaration) into a Connector, or says what is wrong where."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from connectors import rates
from connectors.bodies import LineParser
from connectors.contract import (
    KINDS,
    Action,
    Auth,
    Challenge,
    Connector,
    DeclarationError,
    Health,
    Rate,
    Sample,
)
from connectors.harmless import Harmless
from connectors.declared_actions import (
    Run,
    action_of,
    check_references,
    duration_of,
    field_of,
    members_of,
    request_of,
    run_of,
    text_of,
)
from connectors.located import At, Document, load, parse
from connectors.mapping import compile_alerts
from core.net import auth as credentials

_PROOFS = ("bearer", "url_token", "hmac", "github", "sns", "basic", "routing_key")
_TOP = (
    "connector", "name", "kind", "docs", "settings", "secrets", "auth", "alerts", "health", "actions", "samples",
    "proofs", "delivery_id", "challenge", "rate", "rate_reset", "quiet_after", "setup", "writes", "scopes", "harmless",
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
    actions = {key: action_of(declared, key, at, runs) for key, at in members_of(members, "actions")}
    check_references(actions, members.get("actions"))
    connector = Connector(
        name=declared,
        title=members["name"].text() if "name" in members else name,
        kind=members["kind"].choice(KINDS, "generic") if "kind" in members else "generic",
        docs=docs,
        settings=tuple(field_of(key, at) for key, at in members_of(members, "settings")),
        secrets=tuple(field_of(key, at) for key, at in members_of(members, "secrets")),
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
        quiet_after=duration_of(members["quiet_after"]) if "quiet_after" in members else timedelta(hours=24),
        setup=members["setup"].text() if "setup" in members else "",
        harmless=_harmless(members.get("harmless")),
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
    return {"writes": text_of(members, "path"), "writes_only": text_of(members, "only")}


def _harmless(at: At | None) -> Harmless | None:
    if at is None:
        return None
    members = dict(at.members(("where", "command", "appears"), ("where", "command", "appears")))
    return Harmless(text_of(members, "where"), text_of(members, "command"), text_of(members, "appears"))


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


def _health(at: At, runs: Mapping[str, Run]) -> Health:
    members = dict(at.members(("request", "ok", "run")))
    if "run" in members:
        run: Any = run_of(members["run"], runs)
        return Health(run=run)
    if "request" not in members:
        at.complain("needs a request (or run, in a Python file)")
        return Health()
    ok = text_of(members, "ok", Health.ok) or Health.ok
    return Health(request=request_of(members["request"]), ok=ok)


def _challenge(at: At) -> Challenge:
    members = dict(at.members(("header", "member"), ("header", "member")))
    return Challenge(text_of(members, "header"), text_of(members, "member"))


def _rates(at: At) -> tuple[Rate, ...]:
    """One limit, or a list of limits that hold together."""
    found = []
    for entry in at.entries():
        members = dict(entry.members(("calls", "per"), ("calls", "per")))
        if len(members) < 2:
            continue
        rate = Rate(int(members["calls"].number(1)), duration_of(members["per"]))
        if problem := rates.problem_of(members["calls"].number(1), rate.per):
            entry.complain(problem)
        found.append(rate)
    if len(found) > rates.MOST_RATES:
        at.complain(f"at most {rates.MOST_RATES} limits hold together")
    return tuple(found)


def _samples(at: At | None, folder: Path) -> tuple[Sample, ...]:
    """Samples: `file` in connectors/samples/<connector>/, with what must be understood of it."""
    found = []
    for entry in at.entries() if at is not None else ():
        names = ("file", "content_type", "headers", "config", "expect", "scenario")
        members = dict(entry.members(names, ("file", "expect")))
        path = folder / text_of(members, "file")
        try:
            body = path.read_bytes()
        except OSError as error:
            entry.complain(f"the sample {path.name} cannot be read: {error.strerror}")
            continue
        found.append(
            Sample(
                name=path.name,
                body=body,
                content_type=text_of(members, "content_type", "application/json"),
                headers=members["headers"].data if "headers" in members else {},
                config=members["config"].data if "config" in members else {},
                expect=members["expect"].data if "expect" in members else {},
                scenario=text_of(members, "scenario") or None,
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
