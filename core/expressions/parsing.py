"""Read CEL source into a small tree with positions, for the checks made when a rule is saved."""

from dataclasses import dataclass
from typing import Any

from core.expressions.errors import ExpressionError, Fault

SOURCE_LIMIT = 4 * 1024  # bytes
DEPTH_LIMIT = 60
_SHORTENED = frozenset({"expr", "conditionalor", "conditionaland", "relation", "addition", "multiplication", "unary",
                        "member", "primary", "paren_expr"})  # fmt: skip
_OPERATORS = {
    "relation_lt": "<", "relation_le": "<=", "relation_gt": ">", "relation_ge": ">=", "relation_eq": "==",
    "relation_ne": "!=", "relation_in": "in", "addition_add": "+", "addition_sub": "-", "multiplication_mul": "*",
    "multiplication_div": "/", "multiplication_mod": "%",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Node:
    """One part of an expression.

    kind: literal name field index call method list map or and ternary binary not negative unsupported.
    text: the literal as written, the name, the operator; `literal` is its kind in the grammar.
    """

    kind: str
    text: str
    children: tuple["Node", ...]
    line: int
    column: int
    literal: str = ""


def parse(source: str) -> Node:
    """The tree of `source`; raises ExpressionError when it is no CEL, too long or nested too deeply."""
    if not source.strip():
        raise ExpressionError(source, [Fault(1, 1, "the expression is empty")])
    if len(source.encode("utf-8", "replace")) > SOURCE_LIMIT:
        raise ExpressionError(source, [Fault(1, 1, "the expression is longer than 4 KB; split it")])
    from celpy.celparser import (
        CELParseError,
        CELParser,
    )  # half a second, and only those who save a rule need it

    try:
        tree = CELParser().parse(source)
    except CELParseError as error:
        raise ExpressionError(source, [_syntax(source, error.line or 1, error.column or 1)]) from None
    return _shorten(source, tree)


def _syntax(source: str, line: int, column: int) -> Fault:
    if line < 1 or column < 1:
        line, column = source.count("\n") + 1, len(source.rpartition("\n")[2]) + 1
    lines = source.splitlines() or [""]
    rest = lines[line - 1][column - 1 :] if line <= len(lines) else ""
    near = f' near "{rest[:20]}"' if rest.strip() else " at the end"
    hint = ""
    if rest.startswith("=") and not rest.startswith("=="):
        hint = "; equality is written =="
    elif rest.split(" ")[0] in ("and", "or", "not", "is"):
        hint = "; CEL writes && for and, || for or, ! for not, == for is"
    elif rest.startswith("?") and lines[line - 1][: column - 1].endswith((".", "[")):
        hint = "; optional fields (.?) are not supported: every field is present, test it against null"
    elif rest[:1] in ("'", '"'):
        hint = "; is a quote missing?"
    return Fault(line, column, f"this cannot be read{near}{hint}")


def _shorten(source: str, tree: Any) -> Node:
    """Build the small tree bottom-up without recursion; the grammar nests ten rules per operand."""
    built: dict[int, tuple[Node, int]] = {}
    stack: list[tuple[Any, bool]] = [(tree, False)]
    while stack:
        current, ready = stack.pop()
        if not ready:
            stack.append((current, True))
            stack.extend((child, False) for child in current.children if hasattr(child, "children"))
            continue
        parts = [built.pop(id(child)) if hasattr(child, "children") else child for child in current.children]
        depth = 1 + max((part[1] for part in parts if isinstance(part, tuple)), default=0)
        nodes = [part[0] if isinstance(part, tuple) else part for part in parts]
        single = current.data in _SHORTENED and len(nodes) == 1 and isinstance(nodes[0], Node)
        node = nodes[0] if single else _node(current, nodes)
        if single or node.kind in ("or", "and", "operator", "several"):
            depth -= 1
        if depth > DEPTH_LIMIT:
            raise ExpressionError(
                source, [Fault(node.line, node.column, "this is nested too deeply; split it")]
            )
        built[id(current)] = (node, depth)
    return built[id(tree)][0]


def _node(tree: Any, parts: list[Any]) -> Node:
    rule = str(tree.data)
    line, column = getattr(tree.meta, "line", 1), getattr(tree.meta, "column", 1)
    inner = tuple(part for part in parts if isinstance(part, Node))
    words = [str(part) for part in parts if isinstance(part, str)]

    def made(kind: str, text: str = "", children: tuple[Node, ...] = inner, literal: str = "") -> Node:
        return Node(kind, text, children, line, column, literal)

    def arguments(from_: int) -> tuple[Node, ...]:
        return inner[from_].children if len(inner) > from_ else ()

    match rule:
        case "literal":
            return made("literal", words[0], literal=parts[0].type)
        case "ident":
            return made("name", words[0])
        case "conditionalor" | "conditionaland":
            joint = "or" if rule == "conditionalor" else "and"
            first = inner[0].children if inner[0].kind == joint else inner[:1]
            return made(joint, "||" if joint == "or" else "&&", (*first, *inner[1:]))
        case "expr":
            return made("ternary", "?:")
        case "relation" | "addition" | "multiplication":
            return made("binary", inner[0].text, (*inner[0].children, *inner[1:]))
        case "unary":
            return made("not" if inner[0].text == "!" else "negative", inner[0].text, inner[1:])
        case "unary_not" | "unary_neg":
            return made("operator", "!" if rule == "unary_not" else "-")
        case "member_dot":
            return made("field", words[0])
        case "member_index":
            return made("index")
        case "member_dot_arg":
            return made("method", words[0], (inner[0], *arguments(1)))
        case "ident_arg":
            return made("call", words[0], arguments(0))
        case "list_lit":
            return made("list", children=arguments(0))
        case "map_lit":
            return made("map", children=arguments(0))
        case "exprlist" | "mapinits":
            return made("several")
        case _ if rule in _OPERATORS:
            return made("operator", _OPERATORS[rule])
    return made("unsupported", rule)
