"""Reads the playbook file, says what is wrong with it, and publishes its playbooks as versions."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from core.actors import SYSTEM, Actor
from core.auth import permissions
from core.db import UnitOfWork, unit_of_work
from core.errors import Invalid, NotFound
from core.errors import Problem as Told
from core.ids import new_id
from core.journal import Fact, record
from core.settings import settings
from core.types import Ref
from playbooks import facts
from playbooks.catalogue import Catalogue
from playbooks.compile import Compiled, compile_text
from playbooks.language import Problem
from playbooks.models import Playbook, PlaybookVersion
from playbooks.permissions import APPLY
from playbooks.plan import Plan, digest, encode
from playbooks.registry import kinds


@dataclass(frozen=True)
class Applied:
    """What publishing did with one playbook: new | changed | same | removed."""

    key: str
    outcome: str
    number: int
    version_id: UUID


def read(path: Path) -> tuple[str, Compiled]:
    """The file's text and what it compiles to. Raises NotFound."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise NotFound(f"There is no file {path}; TOCSIN_PLAYBOOKS says where the playbooks are.") from None
    except UnicodeDecodeError:
        raise Invalid(f"{path} is not UTF-8 text.") from None
    return text, compile_text(text, path.name, Catalogue())


def check(path: Path) -> list[Problem]:
    """Everything wrong with a playbook file, in the order of its lines; empty when it is sound."""
    return read(path)[1].problems


def apply(uow: UnitOfWork, actor: Actor, path: Path) -> list[Applied]:
    """Publish the file: a changed playbook becomes a new version, one that is gone starts nothing any more.

    Live runs keep their version. Raises Invalid with every problem when the file is not sound; nothing changes then.
    """
    permissions.require(actor, APPLY.name)
    text, compiled = read(path)
    if compiled.problems:
        told = [Told(f"{one.file}:{one.line}", one.message) for one in compiled.problems]
        raise Invalid(f"{path.name} cannot be published: {compiled.problems[0]}", told)
    return _publish(uow, actor, text, compiled.plans)


def load_at_start() -> list[Applied]:
    """What the embedded start does: publish the configured file where it differs from what is published."""
    path = settings().playbooks
    text, compiled = read(path)
    if compiled.problems:
        raise Invalid(
            "\n".join(str(problem) for problem in compiled.problems),
            [Told(f"{one.file}:{one.line}", one.message) for one in compiled.problems],
        )
    with unit_of_work() as uow:
        return _publish(uow, SYSTEM, text, compiled.plans)


def _publish(uow: UnitOfWork, actor: Actor, text: str, plans: dict[str, Plan]) -> list[Applied]:
    known = {row.key: row for row in uow.scalars(select(Playbook).with_for_update())}
    done = [_publish_one(uow, actor, text, plan, known.get(key)) for key, plan in plans.items()]
    for key, row in known.items():
        if key not in plans and row.removed_at is None:
            row.removed_at = uow.now
            record(uow, actor, Fact(facts.PLAYBOOK_REMOVED, (Ref("playbook", key),), {"key": key}))
            done.append(Applied(key, "removed", 0, row.version_id))
    uow.flush()
    return done


def _publish_one(uow: UnitOfWork, actor: Actor, text: str, plan: Plan, row: Playbook | None) -> Applied:
    version, fresh = _version(uow, actor, text, plan)
    if row is not None and row.version_id == version.id and row.removed_at is None:
        return Applied(plan.key, "same", version.number, version.id)
    acted = row is not None and row.mode == "act" and row.removed_at is None
    if row is None:
        row = Playbook(
            id=new_id(),
            created_at=uow.now,
            key=plan.key,
            name=plan.name,
            mode=plan.mode,
            version_id=version.id,
        )
        uow.add(row)
    row.name, row.description, row.mode = plan.name, plan.description, plan.mode
    row.version_id, row.removed_at = version.id, None
    uow.flush()
    body = {"key": plan.key, "number": version.number, "digest": version.digest, "mode": plan.mode}
    record(uow, actor, Fact(facts.PLAYBOOK_APPLIED, (Ref("playbook", plan.key),), body))
    if plan.mode == "act" and not acted:
        told = {"key": plan.key, "version": version.number, "by": "file"}
        record(uow, actor, Fact(facts.PLAYBOOK_PROMOTED, (Ref("playbook", plan.key),), told))
    return Applied(
        plan.key, "changed" if version.number > 1 or not fresh else "new", version.number, version.id
    )


def _version(uow: UnitOfWork, actor: Actor, text: str, plan: Plan) -> tuple[PlaybookVersion, bool]:
    """The version with this content; an old one when the file went back to it."""
    name = digest(plan)
    found = uow.scalar(
        select(PlaybookVersion).where(PlaybookVersion.key == plan.key, PlaybookVersion.digest == name)
    )
    if found is not None:
        return found, False
    last = uow.scalar(select(func.max(PlaybookVersion.number)).where(PlaybookVersion.key == plan.key)) or 0
    made = PlaybookVersion(
        id=new_id(), created_at=uow.now, key=plan.key, number=last + 1, digest=name, plan=encode(plan), source=text,
        applied_by=actor.name,
    )  # fmt: skip
    uow.add(made)
    uow.flush()
    return made, True


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the playbook language, for editors."""
    common: dict[str, Any] = {
        "id": {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,63}$"},
        "name": {"type": "string"},
        "help": {"type": "string"},
        "when": {"type": "string", "description": "CEL"},
        "for_each": {"type": ["string", "array"]},
        "concurrency": {"type": "integer", "minimum": 1, "maximum": 100},
        "timeout": {"$ref": "#/$defs/duration"},
        "retry": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "attempts": {"type": "integer", "minimum": 1, "maximum": 20},
                "delay": {"$ref": "#/$defs/duration"},
                "backoff": {"enum": ["fixed", "linear", "exponential"]},
                "max_delay": {"$ref": "#/$defs/duration"},
            },
        },
        "on_error": {"oneOf": [{"enum": ["fail", "continue"]}, {"$ref": "#/$defs/steps"}]},
    }
    extras: dict[str, Any] = {key: {} for kind in kinds().values() for key in kind.extra_keys}
    words = {name: {**kind.schema, "description": kind.says} for name, kind in kinds().items()}
    step = {
        "type": "object",
        "required": ["id"],
        "properties": {**extras, **common, **words},
        "additionalProperties": False,
        "oneOf": [{"required": [name]} for name in words],
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Tocsin playbooks",
        "type": "object",
        "required": ["version", "playbooks"],
        "additionalProperties": False,
        "properties": {
            "version": {"const": 1},
            "playbooks": {"type": "object", "additionalProperties": {"$ref": "#/$defs/playbook"}},
        },
        "$defs": {
            "duration": {"type": "string", "pattern": "^([0-9]+(\\.[0-9]+)?[smhdw]\\s*)+$"},
            "people": {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
            "steps": {"type": "array", "items": {"$ref": "#/$defs/step"}},
            "step": step,
            "playbook": _playbook_schema(),
        },
    }


def _playbook_schema() -> dict[str, Any]:
    from playbooks.checks import TRIGGER_FACTS

    trigger = {
        "type": "object",
        "required": ["on"],
        "additionalProperties": False,
        "properties": {"on": {"enum": list(TRIGGER_FACTS)}, "when": {"type": "string"}},
    }
    return {
        "type": "object",
        "required": ["steps"],
        "additionalProperties": False,
        "properties": {
            "name": {"type": "string"},
            "description": {"type": "string"},
            "mode": {"enum": ["watch", "ask", "act"]},
            "triggers": {"type": "array", "items": trigger},
            "inputs": {"type": "object"},
            "concurrency": {
                "type": "object",
                "required": ["key"],
                "additionalProperties": False,
                "properties": {
                    "key": {"type": "string"},
                    "policy": {"enum": ["queue", "drop", "replace", "allow"]},
                },
            },
            "limits": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "actions": {"type": "integer", "minimum": 1},
                    "duration": {"$ref": "#/$defs/duration"},
                },
            },
            "steps": {"$ref": "#/$defs/steps"},
        },
    }
