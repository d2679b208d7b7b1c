"""What a neutral verb promises: how much it changes, what it needs, what it answers, what a person does instead."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from playbooks.answers import in_order

Kind = Literal["text", "list", "yesno", "number"]

_SCHEMAS: dict[str, dict[str, Any]] = {
    "text": {"type": "string"},
    "list": {"type": "array", "items": {"type": "string"}},
    "yesno": {"type": "boolean"},
    "number": {"type": "integer"},
}


@dataclass(frozen=True)
class Value:
    """An input or an output: its kind, and the words that ask a person for it."""

    kind: Kind
    says: str
    required: bool = True

    @property
    def schema(self) -> dict[str, Any]:
        """The value as a field of a form (JSON schema)."""
        return {**_SCHEMAS[self.kind], "title": self.says}

    def fits(self, value: Any) -> bool:
        """Whether a written value is of this kind; what holds a template is judged when it is filled in."""
        if isinstance(value, str):
            return self.kind == "text" or "{{" in value
        kinds = {"list": list, "yesno": bool, "number": int}
        wanted = kinds.get(self.kind)
        return (
            wanted is not None and isinstance(value, wanted) and isinstance(value, bool) == (wanted is bool)
        )


@dataclass(frozen=True)
class NeutralVerb:
    """A verb: known to every playbook, whether or not a product here can do it.

    `effect`: read, write, disruptive or destructive. `by_hand` is a template over `inputs`: what a person does when no
    product can; `outputs` are then asked of them in a form, so that later steps find the same names either way.
    """

    title: str
    effect: str
    by_hand: str
    inputs: Mapping[str, Value] = field(default_factory=dict)
    outputs: Mapping[str, Value] = field(default_factory=dict)

    @property
    def needs(self) -> dict[str, bool]:
        """Each input by name, and whether it is required."""
        return {name: value.required for name, value in self.inputs.items()}

    @property
    def form(self) -> dict[str, Any] | None:
        """The form that asks a person for the outputs; None when there are none."""
        if not self.outputs:
            return None
        return in_order({"type": "object", "properties": {name: value.schema for name, value in self.outputs.items()}})
