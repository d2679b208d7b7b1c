"""Turns what people wrote into plans, and says in sentences what is wrong with it."""

from dataclasses import dataclass, field

import msgspec

from playbooks import checks, plan
from playbooks.compile_steps import Place, StepCompiler
from playbooks.contract import KnownAction
from playbooks.headings import read_inputs, read_triggers
from playbooks.language import Notes, Problem, Reader, Table, check_id, line_of, read_yaml

MAX_STEPS = 500
_PLAYBOOK_KEYS = ("name", "description", "mode", "triggers", "inputs", "concurrency", "limits", "steps")


@dataclass(frozen=True)
class Compiled:
    """What a file holds: its plans by key (empty when anything is wrong), the text of each, and the problems."""

    plans: dict[str, plan.Plan]
    problems: list[Problem]
    lines: dict[str, int] = field(default_factory=dict)


def compile_text(text: str, file: str, known_action: KnownAction) -> Compiled:
    """Compile a whole playbook file.

    `known_action(name)` tells of an action or verb, or None; names for "did you mean" come from its attribute
    `names`, if it has one. Nothing is raised for a faulty file: the problems say what to change.
    """
    notes = Notes(file)
    root = read_yaml(text, notes)
    if root is None and not notes.problems:
        notes.add(1, "the file is empty; it needs version: 1 and playbooks:")
    if root is not None and not isinstance(root, Table):
        notes.add(line_of(root, 1), "the file must be a mapping with version and playbooks")
    if not isinstance(root, Table):
        return Compiled({}, notes.problems)
    top = Reader(root, "file", notes)
    if top.value("version") != 1:
        top.wrong('"version" must be 1', "version")
    written = top.value("playbooks")
    top.close()
    if not isinstance(written, Table):
        top.wrong('"playbooks" must be a mapping of keys to playbooks', "playbooks")
        return Compiled({}, notes.problems)
    plans = {
        key: made for key in written if (made := _playbook(key, written, notes, known_action)) is not None
    }
    problems = sorted(notes.problems, key=lambda problem: problem.line)
    return Compiled({} if problems else plans, problems, dict(written.lines))


def _playbook(key: str, written: Table, notes: Notes, known_action: KnownAction) -> plan.Plan | None:
    """The plan of one playbook of the file."""
    table = written[key]
    if not isinstance(table, Table):
        notes.add(written.lines[key], f'playbook "{key}" must be a mapping')
        return None
    reader = Reader(table, f'playbook "{key}"', notes)
    if not check_id(Reader(written, "playbooks", notes), key, key):
        return None
    compiler = StepCompiler(notes, known_action, written)
    inputs = read_inputs(reader)
    limits, concurrency = reader.inner("limits"), reader.inner("concurrency")
    duration = limits.duration("duration", 30 * 86400.0) if limits else 30 * 86400.0
    actions = limits.whole("actions", 200) if limits else 200
    once = concurrency.text("key", required=True) if concurrency else None
    policy = (
        concurrency.choice("policy", ("queue", "drop", "replace", "allow"), "queue")
        if concurrency
        else "allow"
    )
    for part in (limits, concurrency):
        if part:
            part.close()
    triggers = read_triggers(reader)
    place = Place("", "", None, 0, {}, key, inputs, {}, stack=(key,))
    root = compiler.block(reader.value("steps"), place, reader, "steps")
    made = plan.Plan(
        key=key,
        name=reader.text("name") or key.replace("_", " ").capitalize(),
        description=reader.text("description"),
        mode=reader.choice("mode", ("watch", "ask", "act"), "ask"),  # type: ignore[arg-type]  # one of these
        triggers=triggers,
        inputs=inputs,
        concurrency_key=once,
        concurrency_policy=policy,  # type: ignore[arg-type]  # one of these
        max_actions=actions,
        max_duration=duration or 30 * 86400.0,
        root=root,
        steps={},
    )
    reader.close(_PLAYBOOK_KEYS)
    checks.check_playbook(made, reader)
    steps = {path: checks.check_step(draft, compiler.drafts) for path, draft in compiler.drafts.items()}
    if len(steps) > MAX_STEPS:
        reader.wrong(
            f"it has {len(steps)} steps, its sub-playbooks included; {MAX_STEPS} are the most", "steps"
        )
    return msgspec.structs.replace(made, steps=steps)
