"""Which types can meet, and how a part of an expression is called in a sentence."""

import cel

from core.expressions.parsing import Node
from core.expressions.schema import ANY, Type

NUMBERS = ("int", "float")


def literal_text(node: Node) -> str | None:
    """The value of a text literal, or None for anything else."""
    if node.kind != "literal" or node.literal not in ("STRING_LIT", "MLSTRING_LIT"):
        return None
    try:
        return str(cel.evaluate(node.text))
    except ValueError:
        return None


def named(node: Node) -> str:
    """How a part is called in a sentence: as it is written, or `this`."""
    if node.kind in ("name", "literal"):
        return node.text
    if node.kind == "field":
        return f"{named(node.children[0])}.{node.text}"
    if node.kind == "index":
        return f"{named(node.children[0])}[…]"
    return "this"


def plain(kind: str) -> str:
    """A kind in words: `text`, `a list`."""
    return str(Type(kind))


def can_equal(left: Type, right: Type) -> bool:
    """Can values of these types ever be equal? Anything may be null."""
    if "any" in (left.kind, right.kind) or "null" in (left.kind, right.kind):
        return True
    if left.kind in NUMBERS and right.kind in NUMBERS:
        return True
    maps = ("map", "object")
    return left.kind == right.kind or (left.kind in maps and right.kind in maps)


def literal_hint(literal: Node, found: Type, other: Node, wanted: Type) -> str:
    """What to write instead when `literal` meets a part of another type; empty when nothing is plain."""
    text = literal_text(literal)
    if text is not None and wanted.kind in NUMBERS and text.lstrip("-").replace(".", "", 1).isdigit():
        return f"; write {text} without quotes"
    if text is not None and wanted.kind == "bool" and text in ("true", "false"):
        return f"; write {text} without quotes"
    if wanted.kind == "timestamp" and found.kind == "str":
        return f"; write timestamp({named(literal)})"
    if literal.kind == "literal" and wanted.kind == "str" and found.kind in (*NUMBERS, "bool"):
        return f'; write "{literal.text}" in quotes'
    if wanted.kind == "list" and found.kind == "str":
        return f"; write {named(literal)} in {named(other)}"
    return ""


def joined(kinds: list[Type]) -> Type:
    """The type that covers all of these."""
    told = [kind for kind in kinds if kind.kind != "null"]
    if not told:
        return ANY
    first = told[0]
    if all(kind == first for kind in told):
        return first
    if all(kind.kind == first.kind for kind in told) and first.kind not in ("object", "list", "map"):
        return Type(first.kind)
    return ANY
