"""Short ways for tests to compile and rehearse playbooks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from textwrap import dedent, indent
from typing import Any

from core.types import Severity
from incidents.schema import INCIDENT, observed
from playbooks.advance import Asked
from playbooks.compile import Compiled, compile_text
from playbooks.contract import ActionInfo, Event
from playbooks.plan import Plan
from playbooks.rehearse import Rehearsal, rehearse

AT = datetime(2026, 11, 22, 3, 12, tzinfo=UTC)


class Actions:
    """A small catalogue: verbs and actions with their effects."""

    known = {
        info.name: info
        for info in (
            ActionInfo("intel.look_up", "read", inputs={"value": True}),
            ActionInfo(
                "network.block_ip",
                "disruptive",
                inputs={"ip": True},
                verb="network.block_ip",
                by_hand="Block {{ inputs.ip }}.",
            ),
            ActionInfo("identity.disable_user", "disruptive", inputs={"user": True}),
            ActionInfo("edr.isolate_host", "disruptive", inputs={"host": True}),
            ActionInfo("chat.post", "write", inputs={"text": True}),
        )
    }
    names = tuple(known)

    def __call__(self, name: str) -> ActionInfo | None:
        return self.known.get(name)


def compiled(text: str) -> Compiled:
    """Compile a whole file."""
    return compile_text(dedent(text), "playbooks.yaml", Actions())


def problems(text: str) -> list[str]:
    """What is wrong with a file, as people see it."""
    return [str(problem) for problem in compiled(text).problems]


def plan_of(steps: str, *, head: str = "", more: str = "") -> Plan:
    """The plan of a playbook `p` with these steps; `more` are other playbooks of the file."""
    text = "version: 1\nplaybooks:\n  p:\n    mode: act\n"
    text += indent(dedent(head), "    ") + "    steps:\n" + indent(dedent(steps).strip("\n"), "      ") + "\n"
    text += indent(dedent(more), "  ")
    made = compile_text(text, "playbooks.yaml", Actions())
    assert not made.problems, "\n".join(map(str, made.problems))
    return made.plans["p"]


def facts(**changes: Any) -> dict[str, Any]:
    """An incident as expressions see it."""
    entities = [("ipv4-addr", "203.0.113.9", "source"), ("user", "ana", "target"), ("host", "web-1", "target"),
                ("domain", "evil.example", "source"), ("domain", "worse.example", "source")]  # fmt: skip
    blank: dict[str, Any] = dict.fromkeys(INCIDENT.roots["incident"].fields)
    given: dict[str, Any] = {
        "id": "0192", "key": "INC-2026-000042", "title": "Brute force", "severity": "high", "category": "login",
        "severity_rank": Severity.high.rank, "tags": [], "techniques": [], "late": False, "learning": False, "alert_count": 3,
        "restricted": False, "exercise": False, "recurrence": False, "opened_at": AT, "trust": "normal", "owner": None,
        **observed(entities),
    }  # fmt: skip
    return {**blank, **given, **changes}


def start(plan: Plan, **options: Any) -> Rehearsal:
    """Rehearse a plan up to where it first blocks."""
    rehearsal = rehearse(plan, options.pop("incident", facts()), now=AT, **options)
    rehearsal.advance()
    return rehearsal


def refusing(asked: Asked) -> Mapping[str, Any]:
    """A door that refuses every call."""
    return {"state": "refused", "reason": "203.0.113.9 is protected", "ref": "call:1"}


def call_ended(state: str = "succeeded", output: Any = None, error: str | None = None) -> Event:
    """What the door says when a call is over."""
    return Event("call", {"state": state, "output": output, "error": error})


def answered(approved: bool, by: str = "Ana", reason: str | None = None) -> Event:
    """What people said."""
    return Event("approval", {"approved": approved, "by": [by], "reason": reason})


def states(rehearsal: Rehearsal) -> dict[str, str]:
    """The state of every step that began, by path (with the iteration where there is one)."""
    return {
        row.path + (f"#{row.iteration}" if row.iteration else ""): row.state
        for row in rehearsal.state.attempts.values()
    }
