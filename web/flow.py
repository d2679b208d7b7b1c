"""A playbook as a drawing and as a checklist: the plan's tree, with what a run has come to in it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connectors.registry import actions, verbs
from playbooks.models import StepAttempt
from playbooks.plan import Plan, Step
from web.languages import gettext as _

_PLACE = re.compile(r"\{\{\s*(.*?)\s*\}\}", re.DOTALL)
_PATH = re.compile(r"([A-Za-z_][\w.]*)(?:$|\s+or\s|\s*\|)")

# The tone and icon of each kind of step.
GLYPHS: dict[str, tuple[str, str]] = {
    "action": ("plain", "bolt"),
    "approve": ("plain", "hand-stop"),
    "task": ("plain", "checkbox"),
    "page": ("plain", "phone"),
    "message": ("plain", "send"),
    "wait": ("plain", "hourglass"),
    "choose": ("plain", "git-branch"),
    "parallel": ("plain", "arrows-split"),
    "playbook": ("plain", "book-2"),
    "set": ("plain", "variable"),
    "update": ("plain", "pencil"),
    "mail": ("plain", "inbox"),
    "propose": ("plain", "help"),
    "reporter": ("plain", "message"),
    "open": ("plain", "flame"),
    "owners": ("plain", "user"),
    "repeat": ("plain", "repeat"),
}

# What each state of an attempt looks like: tone, icon.
STATES: dict[str, tuple[str, str]] = {
    "succeeded": ("good", "check"),
    "running": ("accent", "player-play"),
    "waiting": ("wait", "hourglass"),
    "retrying": ("warn", "refresh"),
    "failed": ("bad", "x"),
    "refused": ("warn", "ban"),
    "skipped": ("plain", "player-skip-forward"),
    "cancelled": ("plain", "ban"),
}
_WORST = ("failed", "waiting", "retrying", "running", "refused", "succeeded", "skipped", "cancelled")


@dataclass(frozen=True)
class Branch:
    """One list of steps inside a step: its condition as written, whether the run took it."""

    label: str
    nodes: list["Node"]
    taken: bool


@dataclass(frozen=True)
class Node:
    """One step of the drawing; `state` is empty where no run has come."""

    path: str
    name: str
    kind: str
    glyph: str
    effect: str
    says: str
    state: str
    tone: str
    note: str
    times: int
    branches: list[Branch] = field(default_factory=list)


@dataclass(frozen=True)
class Line:
    """One step of the checklist."""

    path: str
    name: str
    kind: str
    state: str
    tone: str
    glyph: str
    depth: int
    note: str


def latest(attempts: Iterable[StepAttempt]) -> dict[str, list[StepAttempt]]:
    """The last attempt of every iteration, by path."""
    last: dict[tuple[str, str], StepAttempt] = {}
    for attempt in attempts:
        known = last.get((attempt.path, attempt.iteration))
        if known is None or attempt.attempt > known.attempt:
            last[attempt.path, attempt.iteration] = attempt
    found: dict[str, list[StepAttempt]] = {}
    for (path, _iteration), attempt in sorted(last.items()):
        found.setdefault(path, []).append(attempt)
    return found


def effect_of(action: str) -> str:
    """The effect of an action or a verb: read, write, disruptive, destructive; empty when it is not known."""
    if found := actions().get(action):
        return str(found.effect)
    behind = verbs().get(action, ())
    return str(max((one.effect for one in behind), key=lambda effect: effect.rank)) if behind else ""


def sentence(step: Step) -> str:
    """What a step does, in a few words."""
    spec = step.spec
    if step.kind == "action":
        return str(spec.get("action", ""))
    if step.kind == "approve":
        return str(spec.get("ask", ""))
    if step.kind == "task":
        return str(spec.get("title", ""))
    if step.kind in ("page", "message"):
        return str(spec.get("policy") or spec.get("channel") or spec.get("to") or "")
    if step.kind == "playbook":
        return str(spec.get("playbook", ""))
    return ""


def plain(text: str) -> str:
    """A template for reading: "Look up {{ incident.host }}" → "Look up ‹host›"."""
    return _PLACE.sub(_said, text)


def _said(found: re.Match[str]) -> str:
    path = _PATH.match(found.group(1))
    return f"‹{path.group(1).split('.')[-1]}›" if path else "…"


def tree(plan: Plan, attempts: Mapping[str, Sequence[StepAttempt]] | None = None) -> list[Node]:
    """The whole plan as nodes; without attempts nothing has a state."""
    return [_node(plan, path, attempts or {}) for path in plan.root]


def _node(plan: Plan, path: str, attempts: Mapping[str, Sequence[StepAttempt]]) -> Node:
    step = plan.steps[path]
    tried = attempts.get(path, ())
    state = next((name for name in _WORST if any(one.state == name for one in tried)), "")
    tone, _glyph = STATES.get(state, ("", ""))
    labels = {
        branch["block"]: branch.get("name") or branch.get("when") or _("otherwise")
        for branch in step.spec.get("branches", ())
    }
    branches = [
        Branch(
            label=str(labels.get(name, _("if it fails") if name == "on_error" else "")),
            nodes=[_node(plan, child, attempts) for child in children],
            taken=any(child in attempts for child in children),
        )
        for name, children in step.blocks.items()
    ]
    return Node(
        path=path,
        name=titled(step, tried),
        kind=step.kind,
        glyph=GLYPHS.get(step.kind, ("plain", "point"))[1],
        effect=effect_of(str(step.spec.get("action", ""))) if step.kind == "action" else "",
        says=plain(sentence(step)),
        state=state,
        tone=tone,
        note=_note(tried),
        times=len(tried) if step.looped else 0,
        branches=branches,
    )


def titled(step: Step, tried: Sequence[StepAttempt]) -> str:
    """The step's name: with the values it ran with, when it ran once; else as it is written."""
    told = {str(one.detail["title"]) for one in tried if one.detail.get("title")}
    return told.pop() if len(told) == 1 else plain(step.name)


def _note(tried: Sequence[StepAttempt]) -> str:
    """What is worth saying beside a step: its error, who did it, how many of a loop are done."""
    if not tried:
        return ""
    if len(tried) > 1:
        done = sum(one.state == "succeeded" for one in tried)
        return _("%(done)s of %(all)s") % {"done": done, "all": len(tried)}
    one = tried[0]
    if one.error:
        return one.error
    if one.state == "waiting" and (asking := one.detail.get("asking")):
        return str(asking.get("ask", ""))
    if one.by:
        return _("by %(who)s") % {"who": ", ".join(one.by)}
    return str(one.detail.get("note") or one.detail.get("why") or "")


def checklist(nodes: Sequence[Node], depth: int = 0) -> list[Line]:
    """The tree as lines in reading order; branches that a run did not take are left out once it has decided."""
    lines: list[Line] = []
    for node in nodes:
        tone, glyph = STATES.get(node.state, ("ahead", "circle-dashed"))
        lines.append(Line(node.path, node.name, node.kind, node.state, tone, glyph, min(depth, 3), node.note))
        decided = any(branch.taken for branch in node.branches)
        for branch in node.branches:
            if node.state and (branch.taken or (node.kind == "parallel" and not decided)):
                lines += checklist(branch.nodes, depth + 1)
    return lines


def find(nodes: Sequence[Node], path: str) -> Node | None:
    """The node of a path."""
    for node in nodes:
        if node.path == path:
            return node
        for branch in node.branches:
            if found := find(branch.nodes, path):
                return found
    return None


def values(shown: Any) -> list[tuple[str, str]]:
    """A mapping as pairs of text for a page."""
    if not isinstance(shown, Mapping):
        return []
    return [(str(name), value if isinstance(value, str) else str(value)) for name, value in shown.items()]
