"""Our reader of CEL and cel-python's grammar see the same in the same text."""

from pathlib import Path
from typing import Any

import pytest
from celpy.celparser import CELParseError, CELParser
from hypothesis import example, given
from hypothesis import strategies as st

from core.expressions.errors import ExpressionError
from core.expressions.parsing import Node, parse
from core.plugins import load_yaml

ROOT = Path(__file__).parents[2]
SIGNS = {
    "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!=", "in": "in", "add": "+", "sub": "-",
    "mul": "*", "div": "/", "mod": "%",
}  # fmt: skip
PIECES = [
    "a", "b.c", "1", "-1", "- 1", "0x1F", "2u", "1.5", ".5", "1e3", "'x'", '"y\\"z"', "r'\\d+'", "b'raw'", "'''long\n'''",
    "true", "null", "[1, 2]", "[]", "{'k': 1}", "{}", "f(a)", "f()", "a.g(b, 1)", "a[0]", 'a["k"]', "size(a) // why\n",
    "M{a: 1}", ".root", ".call(1)", "_x9",
]  # fmt: skip
NOISE = [
    "(",
    ")",
    "+",
    "in",
    "in ",
    ".",
    "?",
    ":",
    "=",
    "'",
    '"',
    "#",
    ",",
    "[",
    "&",
    "|",
    "-",
    "\n",
    "and",
    "}",
]


def reference(source: str) -> Any:
    """The tree by cel-python's grammar as (what, text, children…), where a place begins; None when it is no CEL."""
    try:
        return _simple(CELParser().parse(source))
    except CELParseError:
        return None


def _simple(tree: Any) -> Any:
    """The grammar's ten rules an operand, made one."""
    parts = [_simple(child) if hasattr(child, "children") else child for child in tree.children]
    rule, at = str(tree.data), (getattr(tree.meta, "line", 0), getattr(tree.meta, "column", 0))
    match rule:
        case "exprlist" | "mapinits" | "fieldinits":
            return [part for part in parts if isinstance(part, tuple)]
        case "literal":
            return ("literal", str(parts[0]), parts[0].type, *at)
        case "ident":
            return ("name", str(parts[0]), "", *at)
        case "unary_not" | "unary_neg":
            return "!" if rule == "unary_not" else "-"
        case "unary" if len(parts) == 2:
            return ("not" if parts[0] == "!" else "negative", parts[0], "", *at, parts[1])
        case "conditionalor" | "conditionaland" if len(parts) == 2:
            kind, sign = ("or", "||") if rule == "conditionalor" else ("and", "&&")
            first = parts[0][5:] if parts[0][0] == kind else (parts[0],)
            return (kind, sign, "", *at, *first, parts[1])
        case "expr" if len(parts) == 3:
            return ("ternary", "?:", "", *at, *parts)
        case "relation" | "addition" | "multiplication" if len(parts) == 2:
            return ("binary", parts[0][0], "", *at, parts[0][1], parts[1])
        case "member_dot":
            return ("field", str(parts[1]), "", *at, parts[0])
        case "member_dot_arg":
            return ("method", str(parts[1]), "", *at, parts[0], *(parts[2] if len(parts) > 2 else ()))
        case "member_index":
            return ("index", "", "", *at, *parts)
        case "ident_arg":
            return ("call", str(parts[0]), "", *at, *(parts[1] if len(parts) > 1 else ()))
        case "list_lit" | "map_lit":
            return (rule[:-4].replace("_", ""), "", "", *at, *(parts[0] if parts else ()))
        case "member_object" | "dot_ident" | "dot_ident_arg":
            inner = [part for part in parts if isinstance(part, tuple)]
            listed = [one for part in parts if isinstance(part, list) for one in part]
            return ("unsupported", rule, "", *at, *inner, *listed)
    if rule.partition("_")[2] in SIGNS and rule.partition("_")[0] in (
        "relation",
        "addition",
        "multiplication",
    ):
        return (SIGNS[rule.partition("_")[2]], parts[0])
    (only,) = parts
    return only


def ours(source: str) -> Any:
    """The same by our reader."""

    def told(node: Node) -> Any:
        return (node.kind, node.text, node.literal, node.line, node.column, *map(told, node.children))

    try:
        return told(parse(source))
    except ExpressionError:
        return None


def agree(source: str) -> bool:
    """The same tree; and the same places, but for words like true, whose places cel-python loses."""
    mine, theirs = ours(source), reference(source)
    if any(word in source for word in ("true", "false", "null")):
        return bool(_placeless(mine) == _placeless(theirs))
    return bool(mine == theirs)


def _placeless(tree: Any) -> Any:
    return tree and (*tree[:3], *map(_placeless, tree[5:]))


def _joined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    signs = st.sampled_from(
        [" && ", "||", " == ", "!=", "<", " <= ", ">", ">=", " in ", "+", "-", " -", " - ", "*", "/", "%"]
    )
    return st.one_of(
        st.tuples(inner, signs, inner).map("".join),
        st.tuples(st.sampled_from(["!", "-", "--", "!!", "- "]), inner).map("".join),
        inner.map(lambda one: f"({one})"),
        st.tuples(inner, inner, inner).map(lambda three: f"{three[0]} ? {three[1]} : {three[2]}"),
        st.tuples(inner, inner).map(lambda two: f"[{two[0]}, {two[1]}][{two[1]}].has({two[0]})"),
    )


sound = st.recursive(st.sampled_from(PIECES), _joined, max_leaves=8)


@given(sound)
def test_what_is_sound_gives_the_same_tree(source: str) -> None:
    assert agree(source), f"{ours(source)} is not {reference(source)}"


@given(st.lists(st.one_of(st.sampled_from(PIECES + NOISE), sound), max_size=6).map(" ".join))
@example("a b")
@example("a[")
@example("'open")
@example("a..b")
def test_what_is_not_sound_is_refused_by_both(source: str) -> None:
    if source.strip():
        assert (ours(source) is None) == (reference(source) is None), source


def test_every_condition_that_ships_gives_the_same_tree() -> None:
    found = list(_conditions(load_yaml(ROOT / "playbooks.yaml")[0]))
    assert len(found) > 10
    for source in found:
        assert agree(source), source


def _conditions(data: Any) -> Any:
    if isinstance(data, dict):
        for key, value in data.items():
            if key in ("when", "if", "until") and isinstance(value, str):
                yield value
            else:
                yield from _conditions(value)
    elif isinstance(data, list):
        for value in data:
            yield from _conditions(value)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(source: str) -> None:
    ours(source)


@pytest.mark.parametrize(
    "source", ["(" * 2000, "[" * 2000, "-" * 4000 + "1", "!" * 4000, "a?b:" * 900 + "c", ".a" * 2000]
)
def test_no_depth_ends_the_process(source: str) -> None:
    with pytest.raises(ExpressionError):
        parse(source)
