"""Compiles the steps of a playbook: each with its place, what it sees, and everything inside it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from playbooks import plan
from playbooks.contract import ActionInfo, KnownAction, StepKind
from playbooks.headings import read_inputs
from playbooks.language import Notes, Reader, Rows, Table, check_id, did_you_mean, plain
from playbooks.registry import kinds
from playbooks.scope import speaks_of_item

COMMON_KEYS = ("id", "name", "help", "when", "for_each", "concurrency", "retry", "timeout", "on_error")
_NAMELESS = "a step without an id"


@dataclass(frozen=True)
class Place:
    """Where a block stands: whose scope, under which path, what its steps can see."""

    scope: str
    prefix: str
    parent: str | None
    loops: int
    visible: dict[str, str]
    playbook: str
    inputs: Mapping[str, plan.Input]
    ids: dict[str, int]
    cover: str | None = None
    cover_loops: int = 0
    in_loop: bool = False
    in_error: bool = False
    stack: tuple[str, ...] = ()


@dataclass
class Draft:
    """A step being compiled, with what is needed to check its expressions."""

    step: plan.Step
    kind: StepKind
    place: Place
    reader: Reader
    inside: dict[str, str]


class StepCompiler:
    """Compiles the steps of one playbook; `drafts` holds them by path."""

    def __init__(self, notes: Notes, known_action: KnownAction, written: Table) -> None:
        self.notes = notes
        self.known_action = known_action
        self.written = written
        self.kinds = kinds()
        self.drafts: dict[str, Draft] = {}

    def block(self, rows: Any, place: Place, reader: Reader, key: str) -> tuple[str, ...]:
        """Compile a list of steps; each sees the ones before it."""
        if rows is None or not isinstance(rows, Rows):
            reader.wrong("it has no steps" if rows is None else f'"{key}" must be a list of steps', key)
            return ()
        paths: list[str] = []
        for number, row in enumerate(rows):
            if not isinstance(row, Table):
                self.notes.add(
                    rows.lines[number], f"{reader.where}: a step must be a mapping with an id and a kind"
                )
                continue
            draft = self.step(row, place)
            if draft is None:
                continue
            step = draft.step
            paths.append(step.path)
            place = replace(place, visible={**place.visible, step.id: step.path})
            if draft.kind.runs_all and not step.looped:
                place = replace(place, visible={**place.visible, **draft.inside})
            if step.kind == "approve" and not step.blocks and not step.looped:
                place = replace(place, cover=step.path, cover_loops=step.loops)
        return tuple(paths)

    def step(self, table: Table, place: Place) -> Draft | None:
        """Compile one step and everything inside it."""
        where = f'step "{table.get("id")}"' if table.get("id") else _NAMELESS
        reader = Reader(table, where, self.notes)
        kind = self._kind(reader)
        ident = reader.text("id", required=True) or ""
        if kind is None or not ident or not check_id(reader, "id", ident):
            return None
        if ident in place.ids:
            reader.wrong(f'the id "{ident}" is already used on line {place.ids[ident]}', "id")
            return None
        place.ids[ident] = reader.line
        body = _Body(self, reader, kind, place, f"{place.prefix}{ident}")
        spec = kind.parse(body)
        when, for_each = (reader.text("when") or "").strip() or None, plain(reader.value("for_each"))
        if for_each is not None and not isinstance(for_each, str | list):
            reader.wrong('"for_each" must be a list, or a template that gives one', "for_each")
        timeout = reader.duration("timeout")
        retry, on_error, rows = self._retry(reader), *self._on_error(reader)
        on_error = on_error or ("continue" if kind.goes_on else "")
        concurrency = reader.whole("concurrency", 1, 1, 100)
        name, told = reader.text("name") or ident.replace("_", " ").capitalize(), reader.text("help")
        if retry and body.declared:
            reader.wrong(
                f'"retry" is for steps that do one thing; put it on the steps inside this {kind.name}',
                "retry",
            )
        reader.close((*COMMON_KEYS, *kind.extra_keys, *self.kinds))
        step = plan.Step(
            path=body.path,
            id=ident,
            name=name,
            kind=kind.name,
            line=reader.line,
            spec=spec,
            help=told,
            when=when,
            when_each=bool(for_each is not None and when and speaks_of_item(when)),
            for_each=for_each,
            concurrency=concurrency,
            retry=retry,
            timeout=timeout,
            on_error=on_error,  # type: ignore[arg-type]  # one of these
            parent=place.parent,
            cover=place.cover,
            cover_loops=place.cover_loops,
            scope=place.scope,
            loops=place.loops,
        )
        draft = Draft(step, kind, place, reader, {})
        self.drafts[step.path] = draft
        inside = self._inside(draft)
        blocks: dict[str, tuple[str, ...]] = {}
        for name, (declared, key, called) in body.declared.items():
            blocks[name] = self.block(
                declared, called or replace(inside, prefix=f"{step.path}/{name}/"), reader, key
            )
        if rows is not None:
            handler = replace(
                place,
                prefix=f"{step.path}/on_error/",
                parent=step.path,
                in_error=True,
                visible={**place.visible, ident: step.path},
            )
            blocks["on_error"] = self.block(rows, handler, reader, "on_error")
        draft.step = msgspec.structs.replace(step, blocks=blocks)
        draft.inside = {
            self.drafts[path].step.id: path
            for name, paths in blocks.items()
            for path in paths
            if name != "on_error" and self.drafts[path].step.scope == step.scope
        }
        return draft

    def _inside(self, draft: Draft) -> Place:
        """The place of the blocks inside a step."""
        step, kind = draft.step, draft.kind
        loops = step.loops + int(step.looped) + int(kind.turns)
        place = replace(
            draft.place,
            parent=step.path,
            loops=loops,
            in_loop=draft.place.in_loop or step.looped,
            in_error=draft.place.in_error,
        )
        if kind.name == "approve":
            place = replace(place, cover=step.path, cover_loops=step.loops + int(step.looped))
        return place

    def called(
        self, reader: Reader, place: Place, path: str, key: str, looped: bool
    ) -> tuple[Any, Place] | None:
        """The steps of another playbook and the place they stand in here."""
        table = self.written.get(key)
        if not isinstance(table, Table):
            reader.wrong(f'there is no playbook "{key}"{did_you_mean(key, self.written)}', "playbook")
            return None
        if key in place.stack:
            reader.wrong(f'playbook "{key}" would run itself: {" → ".join((*place.stack, key))}', "playbook")
            return None
        other = Reader(table, f'playbook "{key}"', self.notes)
        inputs = read_inputs(other)
        given = reader.table.get("with") or {}
        for name in given:
            if name not in inputs:
                known = ", ".join(inputs) or "none"
                reader.wrong(
                    f'playbook "{key}" has no input "{name}"; it has: {known}{did_you_mean(name, inputs)}',
                    "with",
                )
        for name, declared in inputs.items():
            if declared.required and name not in given:
                reader.wrong(
                    f'playbook "{key}" needs the input "{name}"', "with" if reader.has("with") else "playbook"
                )
        inside = Place(
            path, f"{path}/steps/", path, place.loops + int(looped), {}, key, inputs, {}, place.cover, place.cover_loops,
            stack=(*place.stack, key),
        )  # fmt: skip
        return table.get("steps"), inside

    def _kind(self, reader: Reader) -> StepKind | None:
        found = [self.kinds[key] for key in reader.table if key in self.kinds]
        # `playbook` and `action` steps may carry keys that are kinds elsewhere only if they say so (none do today).
        if len(found) == 1:
            return found[0]
        known = ", ".join(self.kinds)
        if not found:
            strange = [key for key in reader.table if key not in COMMON_KEYS]
            hint = did_you_mean(strange[0], self.kinds) if strange else ""
            reader.wrong(f"it does nothing; give it one of: {known}{hint}")
            return None
        reader.wrong(f"it has {' and '.join(one.name for one in found)}; a step does one thing")
        return None

    def _retry(self, reader: Reader) -> plan.Retry | None:
        given = reader.inner("retry")
        if given is None:
            return None
        backoff = given.choice("backoff", ("fixed", "linear", "exponential"), "exponential")
        retry = plan.Retry(
            attempts=given.whole("attempts", 3, 1, 20),
            delay=given.duration("delay", 2.0) or 2.0,
            backoff=backoff,  # type: ignore[arg-type]  # one of these
            max_delay=given.duration("max_delay", 60.0) or 60.0,
        )
        given.close()
        return retry

    def _on_error(self, reader: Reader) -> tuple[str, Rows | None]:
        value = reader.value("on_error")
        if isinstance(value, Rows):
            return "steps", value
        return reader.choice("on_error", ("fail", "continue"), ""), None


class _Body:
    """What a kind sees of the step it parses."""

    def __init__(
        self, compiler: StepCompiler, reader: Reader, kind: StepKind, place: Place, path: str
    ) -> None:
        self.compiler = compiler
        self.reader = reader
        self.kind = kind
        self.place = place
        self.path = path
        self.declared: dict[str, tuple[Any, str, Place | None]] = {}

    @property
    def value(self) -> Any:
        return self.reader.value(self.kind.name)

    def table(self) -> Reader | None:
        found = self.value
        if isinstance(found, Table):
            return Reader(found, self.reader.where, self.reader.notes)
        self.reader.wrong(f'"{self.kind.name}" must be a mapping', self.kind.name)
        return None

    def block(self, name: str, rows: Any, key: str | None = None) -> None:
        self.declared[name] = (rows, key or self.kind.name, None)

    def call(self, key: str) -> Mapping[str, plan.Input]:
        looped = self.reader.table.get("for_each") is not None
        found = self.compiler.called(self.reader, self.place, self.path, key, looped)
        if found is None:
            return {}
        self.declared["steps"] = (found[0], "steps", found[1])
        return found[1].inputs

    def action(self, name: str) -> ActionInfo | None:
        info = self.compiler.known_action(name)
        if info is None and name:
            names = getattr(self.compiler.known_action, "names", ())
            self.reader.wrong(f'unknown action "{name}"{did_you_mean(name, names)}', "action")
        return info
