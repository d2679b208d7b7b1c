"""Checks a playbook's expressions against what they may speak of, before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from core.expressions import ExpressionError, Schema, check_template, compile_condition
from incidents.schema import INCIDENT
from playbooks.language import Reader, did_you_mean
from playbooks.plan import Plan, Step
from playbooks.scope import ERROR, ROOTS, RUN, callbacks_in, input_types, references, result_type, source_of

if TYPE_CHECKING:
    from playbooks.compile_steps import Draft

TRIGGER_FACTS = (
    "incident.opened",
    "incident.severity_raised",
    "incident.became_live",
    "incident.reopened",
    "incident.confirmation_changed",
    "incident.stage_changed",
    "alert.escalated",
    "alert.recurred",
    "alert.containment_doubted",
)
"""Facts of the journal that may start a playbook; each refers to an incident."""

TRIGGER_SCHEMA = INCIDENT.extended(trigger="map")


def check_playbook(plan: Plan, reader: Reader) -> None:
    """The conditions of the triggers and the concurrency key."""
    for trigger in plan.triggers:
        if trigger.when is not None:
            try:
                compile_condition(trigger.when, TRIGGER_SCHEMA, routing=True)
            except ExpressionError as error:
                reader.notes.add(trigger.line, f"{reader.where}: trigger: {error.message}")
    if plan.concurrency_key is not None:
        _check_template(
            reader,
            "concurrency",
            plan.concurrency_key,
            TRIGGER_SCHEMA.extended(inputs=input_types(plan.inputs)),
        )


def check_step(draft: Draft, drafts: dict[str, Draft]) -> Step:
    """The step with the earlier steps it uses; problems are noted where they stand."""
    step, kind, place, reader = draft.step, draft.kind, draft.place, draft.reader
    conditions = [*kind.conditions(step.spec)]
    own = [step.when] if step.when else []
    loop = source_of(step.for_each)
    templates = [*source_of(step.spec, kind.literal), *source_of(step.name)]
    visible = {**place.visible, **draft.inside} if kind.turns else place.visible
    named = references([*own, *conditions], [*loop, *templates])
    for ident in named:
        if ident not in visible:
            reader.wrong(_not_visible(ident, place.visible, place.ids))
    waits = _callbacks(draft, drafts)
    told = callbacks_in(source_of({key: step.spec[key] for key in kind.sends}))
    for ident in callbacks_in([*loop, *templates]):
        if ident not in told:
            reader.wrong(
                f'callbacks.{ident} may stand only in the "with" of an action or a playbook: it is a secret'
            )
        elif ident not in waits:
            reader.wrong(_no_callback(ident, waits, place.ids))
    used = {ident: visible[ident] for ident in named if ident in visible}
    in_loop = place.in_loop or step.looped
    schema = _schema(draft, drafts, visible, in_loop)
    before = _schema(draft, drafts, visible, place.in_loop)
    for condition in own:
        _check_condition(reader, condition, schema if step.when_each else before, "when")
    for condition in conditions:
        _check_condition(reader, condition, schema, kind.name)
    for text in loop:
        _check_template(reader, "for_each", text, before)
    with_waits = schema.extended(callbacks="map")
    for text in templates:
        _check_template(reader, kind.name, text, with_waits if callbacks_in([text]) else schema)
    return msgspec.structs.replace(
        step, sees=used, callbacks={ident: waits[ident] for ident in told if ident in waits}
    )


def _callbacks(draft: Draft, drafts: dict[str, Draft]) -> dict[str, str]:
    """The waits of this playbook that can be called back from this step's round: outside loops the step is not in."""
    around = {draft.step.path, *_loops_around(draft.step, drafts)}
    return {
        other.step.id: path
        for path, other in drafts.items()
        if other.step.spec.get("callback") is True
        and other.step.scope == draft.step.scope
        and not other.step.looped
        and around.issuperset(_loops_around(other.step, drafts))
    }


def _loops_around(step: Step, drafts: dict[str, Draft]) -> list[str]:
    found = []
    while step.parent is not None:
        parent = drafts[step.parent]
        if parent.step.looped or parent.kind.turns:
            found.append(step.parent)
        step = parent.step
    return found


def _no_callback(ident: str, waits: dict[str, str], ids: dict[str, int]) -> str:
    if ident in ids:
        return (
            f'callbacks.{ident} cannot be told here: step "{ident}" (line {ids[ident]}) must be a wait with callback: true '
            f"that no loop repeats; put a loop around both steps instead"
        )
    return f'there is no wait "{ident}" to call back{did_you_mean(ident, waits)}'


def _not_visible(ident: str, visible: dict[str, str], ids: dict[str, int]) -> str:
    if ident in ids:
        return (
            f"steps.{ident} cannot be used here: it stands later, or inside a branch or loop that may not have run "
            f'(line {ids[ident]}); remember its value with "set" and use vars'
        )
    return f'there is no step "{ident}" before this one{did_you_mean(ident, visible)}'


def _roots(in_loop: bool, in_error: bool) -> tuple[str, ...]:
    left_out = set() if in_loop else {"item", "index"}
    return tuple(root for root in ROOTS if root not in left_out and (in_error or root != "error"))


def _schema(draft: Draft, drafts: dict[str, Draft], visible: dict[str, str], in_loop: bool) -> Schema:
    steps = {ident: result_type(drafts[path].step.spec) for ident, path in visible.items() if path in drafts}
    declared: dict[str, Any] = {
        "incident": INCIDENT.roots["incident"],
        "inputs": input_types(draft.place.inputs),
        "steps": steps,
        "vars": "map",
        "run": RUN,
        "trigger": "map",
        "item": "any",
        "index": "int",
        "error": ERROR,
    }
    roots = _roots(in_loop, draft.place.in_error)
    return Schema({name: kind for name, kind in declared.items() if name in roots})


def _check_condition(reader: Reader, condition: str, schema: Schema, key: str) -> None:
    try:
        compile_condition(condition, schema)
    except ExpressionError as error:
        said = f'"{key}": {error.message}'
        if "steps has no" not in said:  # said better already, with the line of the step
            reader.notes.add(
                _line(reader, condition, key), f"{reader.where}: {said}, in: {condition.strip()}"
            )


def _check_template(reader: Reader, key: str, text: str, schema: Schema) -> None:
    for problem in check_template(text, schema):
        reader.notes.add(
            _line(reader, text, key) + problem.line - 1, f'{reader.where}: "{key}": {problem.message}'
        )


def _line(reader: Reader, text: str, key: str) -> int:
    """The line of a text inside the step, as near as it can be told."""
    return _find(reader.table, text) or reader.line_of(key)


def _find(value: Any, text: str) -> int | None:
    if isinstance(value, dict):
        lines = getattr(value, "lines", {})
        for key, inner in value.items():
            if inner == text or (isinstance(inner, str) and inner.strip() == text):
                found = lines.get(key)
                return int(found) if found else None
            deeper = _find(inner, text)
            if deeper:
                return deeper
    if isinstance(value, list):
        lines_of_rows = getattr(value, "lines", [])
        for number, inner in enumerate(value):
            if inner == text and number < len(lines_of_rows):
                return int(lines_of_rows[number])
            deeper = _find(inner, text)
            if deeper:
                return deeper
    return None
