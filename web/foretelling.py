"""What a step that has not been reached yet would be given: the values that are known now, the others in plain words."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.expressions import TemplateError, is_template, render
from playbooks.plan import Plan, Step
from playbooks.state import RunState
from playbooks.view import scope_key
from web.languages import gettext as _
from web.wording import words

MOST = 6
_PLACE = re.compile(r"\{\{\s*(.*?)\s*\}\}", re.DOTALL)
_BLOCK = re.compile(r"\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_PATH = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*")


@dataclass(frozen=True)
class Foretold:
    """A text as far as it can be told; `known` when nothing in it is left open."""

    text: str
    known: bool = True


@dataclass(frozen=True)
class Ahead:
    """What is known of a run at this moment: enough to say what its later steps would do."""

    plan: Plan
    run: RunState
    facts: Mapping[str, Any]

    def title(self, step: Step) -> str:
        """The step's name."""
        return self._told(step.name, step).text

    def inputs(self, step: Step) -> list[tuple[str, Foretold]]:
        """Everything the step would be given, by name."""
        given = step.spec.get("with")
        return [(str(name), self._told(value, step)) for name, value in (given or {}).items()]

    def _told(self, value: Any, step: Step) -> Foretold:
        if not _open(value):
            return Foretold(_shown(value))
        known = self._known(step)
        rounds = self._rounds(step, known)
        try:
            made = [render(value, {**known, **more}) for more in rounds or [{}]]
        except TemplateError:
            return Foretold(self._in_words(value, step), known=False)
        texts = list(dict.fromkeys(_shown(one) for one in made if one not in (None, "", [])))
        if not texts:
            said = _("%(what)s (none is known yet)") % {"what": self._in_words(value, step)}
            return Foretold(said, known=False)
        more = f" … +{len(texts) - MOST}" if len(texts) > MOST else ""
        return Foretold(", ".join(texts[:MOST]) + more)

    def _rounds(self, step: Step, known: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The items the step would run for, when its list is known."""
        if not step.looped:
            return []
        try:
            items = render(step.for_each, known)
        except TemplateError:
            return []
        found = items if isinstance(items, list) else []
        return [{"item": item, "index": number} for number, item in enumerate(found)]

    def _known(self, step: Step) -> dict[str, Any]:
        """What the step's expressions may speak of, without what has not happened yet."""
        run = self.run
        return {
            "incident": self.facts,
            "inputs": self._given(step),
            "steps": {
                name: done for name, path in step.sees.items() if (done := self._done(path)) is not None
            },
            "vars": run.variables.get(scope_key(self.plan, step, ""), {}),
            "run": {"id": str(run.id), "playbook": run.playbook, "name": run.name, "mode": run.mode},
            "trigger": run.trigger,
        }

    def _done(self, path: str) -> dict[str, Any] | None:
        row = self.run.attempts.get((path, ""))
        if row is None or row.ended_at is None:
            return None
        ok = row.state == "succeeded"
        return {"ok": ok, "state": row.state, "output": row.output, "error": row.error, "form": row.form}

    def _given(self, step: Step) -> Mapping[str, Any]:
        """The inputs of the playbook the step belongs to; of one that is called, those its caller can tell now."""
        if not step.scope:
            return self.run.inputs
        caller = self.plan.steps[step.scope]
        known = self._known(caller)
        found = {}
        for name, value in (caller.spec.get("with") or {}).items():
            try:
                found[name] = render(value, known)
            except TemplateError:
                continue
        return found

    def _in_words(self, value: Any, step: Step) -> str:
        text = _BLOCK.sub("", value) if isinstance(value, str) else _shown(value)
        return _PLACE.sub(lambda found: self._place(found[1], step), text).strip()

    def _place(self, expression: str, step: Step) -> str:
        """One placeholder in words: "the host of this incident"."""
        path = _PATH.match(expression)
        root, _dot, rest = (path[0] if path else "").partition(".")
        last = words(rest.rpartition(".")[2])
        if root == "incident" and rest:
            return _("the %(what)s of this incident") % {"what": last}
        if root == "steps" and rest:
            name = rest.partition(".")[0]
            asked = self.plan.steps.get(step.sees.get(name, ""))
            title = asked.name if asked is not None and not is_template(asked.name) else words(name)
            if ".form." in rest:
                return _("the answer “%(what)s” of “%(step)s”") % {"what": last, "step": title}
            return _("what “%(step)s” finds") % {"step": title}
        if root in ("inputs", "trigger", "vars") and rest:
            return _("the %(what)s it is given then") % {"what": last}
        if root == "item":
            return _("each one that is found")
        return _("what is worked out then")


def _open(value: Any) -> bool:
    if isinstance(value, str):
        return is_template(value)
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return any(_open(part) for part in parts)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_shown(one) for one in value)
    return value if isinstance(value, str) else str(value)
