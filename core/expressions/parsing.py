"""Read CEL source into a small tree with positions, for the checks made when a rule is saved.

The grammar is the language definition's (github.com/google/cel-spec, doc/langdef.md, "Syntax").
"""

import re
from dataclasses import dataclass

from core.expressions.errors import ExpressionError, Fault

SOURCE_LIMIT = 4 * 1024  # bytes
DEPTH_LIMIT = 60
_STRING = r"""(?:[rR]?(?:"(?:\\.|.)*?"|'(?:\\.|.)*?'))"""
_LONG_STRING = r"""(?:[rR]?(?:\"{3}(?:\\.|[\s\S])*?\"{3}|'{3}(?:\\.|[\s\S])*?'{3}))"""
_TOKEN = re.compile(
    rf"""(?P<skipped>[\t\n\f\r ]+|//.*)
    |(?P<FLOAT_LIT>\d+\.\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+)
    |(?P<UINT_LIT>(?:0x[0-9a-fA-F]+|\d+)[uU])
    |(?P<INT_LIT>0x[0-9a-fA-F]+|\d+)
    |(?P<BYTES_LIT>[bB](?:{_LONG_STRING}|{_STRING}))
    |(?P<MLSTRING_LIT>{_LONG_STRING})
    |(?P<STRING_LIT>{_STRING})
    |(?P<IDENT>[_a-zA-Z][_a-zA-Z0-9]*)
    |(?P<sign>&&|\|\||[=!<>]=|[<>+\-*/%!?:.,()\[\]{{}}])""",
    re.VERBOSE | re.ASCII,
)
_WORDS = {"true": "BOOL_LIT", "false": "BOOL_LIT", "null": "NULL_LIT"}
# What binds two operands, from the loosest; each level groups from the left.
_LEVELS = (frozenset({"<", "<=", ">", ">=", "==", "!=", "in"}), frozenset("+-"), frozenset("*/%"))


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


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str  # a literal's kind, IDENT, an operator or bracket as it is written, or "" at the end
    text: str
    at: int


def parse(source: str) -> Node:
    """The tree of `source`; raises ExpressionError when it is no CEL, too long or nested too deeply."""
    if not source.strip():
        raise ExpressionError(source, [Fault(1, 1, "the expression is empty")])
    if len(source.encode("utf-8", "replace")) > SOURCE_LIMIT:
        raise ExpressionError(source, [Fault(1, 1, "the expression is longer than 4 KB; split it")])
    return _Parser(source).whole()


def _tokens(source: str) -> list[_Token]:
    found: list[_Token] = []
    at = 0
    while at < len(source):
        match = _TOKEN.match(source, at)
        if match is None:
            raise _unreadable(source, at)
        kind, text = str(match.lastgroup), match[0]
        if kind != "skipped":
            last = found[-1].kind if found else ""
            after_operand = last.endswith("_LIT") or last in ("IDENT", ")", "]", "}")
            if kind == "IDENT":
                kind = "in" if text == "in" and after_operand else _WORDS.get(text, kind)
            elif kind == "sign":
                kind = text
            found.append(_Token(kind, text, at))
        at = match.end()
    return [*found, _Token("", "", len(source))]


class _Parser:
    """Recursive descent; how deep it may go is limited, so that no source ends the process."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.tokens = _tokens(source)
        self.next = 0
        self.inside = 0
        self.depths: dict[int, int] = {}  # of nodes, by id(): all of them live in the tree

    def whole(self) -> Node:
        tree = self.expression()
        if self.token.kind:
            raise self.unexpected()
        return tree

    # ------------------------------------------------------------------------------------------ tokens

    @property
    def token(self) -> _Token:
        return self.tokens[self.next]

    def taken(self, *kinds: str) -> _Token | None:
        """The next token if it is one of these; it is then behind us."""
        token = self.token
        if token.kind not in kinds:
            return None
        self.next += 1
        return token

    def expect(self, kind: str) -> _Token:
        token = self.taken(kind)
        if token is None:
            raise self.unexpected()
        return token

    def unexpected(self) -> ExpressionError:
        return _unreadable(self.source, self.token.at)

    def made(
        self, start: _Token, kind: str, text: str = "", children: tuple[Node, ...] = (), literal: str = ""
    ) -> Node:
        node = Node(kind, text, children, *self.place(start), literal)
        depth = max((self.depths[id(child)] for child in children), default=0) + (kind not in ("or", "and"))
        if depth > DEPTH_LIMIT:
            raise self.too_deep(start)
        self.depths[id(node)] = depth
        return node

    def too_deep(self, start: _Token) -> ExpressionError:
        return ExpressionError(
            self.source, [Fault(*self.place(start), "this is nested too deeply; split it")]
        )

    def place(self, token: _Token) -> tuple[int, int]:
        """Line and column of a token, from 1."""
        return self.source.count("\n", 0, token.at) + 1, token.at - self.source.rfind("\n", 0, token.at)

    # ------------------------------------------------------------------------------------------ grammar

    def expression(self) -> Node:
        """Condition, then perhaps `? then : otherwise`."""
        start = self.token
        self.inside += 1
        if self.inside > DEPTH_LIMIT:
            raise self.too_deep(start)
        found = self.joined("||", "or")
        if self.taken("?"):
            then = self.joined("||", "or")
            self.expect(":")
            found = self.made(start, "ternary", "?:", (found, then, self.expression()))
        self.inside -= 1
        return found

    def joined(self, operator: str, kind: str) -> Node:
        """Operands joined by || (each of them by &&): one node for all of them."""
        start = self.token
        found = self.joined("&&", "and") if operator == "||" else self.operation(0)
        while self.taken(operator):
            right = self.joined("&&", "and") if operator == "||" else self.operation(0)
            left = found.children if found.kind == kind else (found,)
            found = self.made(start, kind, operator, (*left, right))
        return found

    def operation(self, level: int) -> Node:
        """Comparison, addition or multiplication, by level."""
        if level == len(_LEVELS):
            return self.unary()
        start = self.token
        found = self.operation(level + 1)
        while operator := self.taken(*_LEVELS[level]):
            found = self.made(start, "binary", operator.text, (found, self.operation(level + 1)))
        return found

    def unary(self) -> Node:
        signs: list[_Token] = []
        while sign := self.taken("!", "-"):
            signs.append(sign)
        found = self.negated_number(signs) if signs else None
        found = found or self.member()
        for sign in reversed(signs):
            found = self.made(sign, "not" if sign.text == "!" else "negative", sign.text, (found,))
        return found

    def negated_number(self, signs: list[_Token]) -> Node | None:
        """A number whose sign stands right before it is one literal; that sign is then used up."""
        number = self.token
        if signs[-1].text != "-" or number.at != signs[-1].at + 1 or number.kind not in _NUMBERS:
            return None
        self.next += 1
        sign = signs.pop()
        return self.members(sign, self.made(sign, "literal", "-" + number.text, literal=number.kind))

    def member(self) -> Node:
        return self.members(self.token, self.primary())

    def members(self, start: _Token, found: Node) -> Node:
        """What follows an operand: .field, .method(…), [index]."""
        while True:
            if self.taken("."):
                name = self.expect("IDENT")
                if self.taken("("):
                    found = self.made(start, "method", name.text, (found, *self.several(")")))
                else:
                    found = self.made(start, "field", name.text, (found,))
            elif self.taken("["):
                found = self.made(start, "index", "", (found, self.expression()))
                self.expect("]")
            elif self.taken("{"):
                found = self.made(start, "unsupported", "member_object", (found, *self.fields()))
            else:
                return found

    def primary(self) -> Node:
        start = self.token
        self.next += 1
        if start.kind.endswith("_LIT"):
            return self.made(start, "literal", start.text, literal=start.kind)
        match start.kind:
            case "IDENT" if self.taken("("):
                return self.made(start, "call", start.text, self.several(")"))
            case "IDENT":
                return self.made(start, "name", start.text)
            case "(":
                found = self.expression()
                self.expect(")")
                return found
            case "[":
                return self.made(start, "list", "", self.several("]"))
            case "{":
                return self.made(start, "map", "", self.several("}", pairs=True))
            case "." if self.taken("IDENT"):
                if self.taken("("):
                    return self.made(start, "unsupported", "dot_ident_arg", self.several(")"))
                return self.made(start, "unsupported", "dot_ident")
        self.next = self.tokens.index(start)
        raise self.unexpected()

    def fields(self) -> tuple[Node, ...]:
        """The values of a message's fields: `name: value, …}`; messages are read, to be refused by name."""
        found: list[Node] = []
        while not self.taken("}"):
            if found:
                self.expect(",")
            self.expect("IDENT")
            self.expect(":")
            found.append(self.expression())
        return tuple(found)

    def several(self, end: str, *, pairs: bool = False) -> tuple[Node, ...]:
        """Expressions between commas up to the closing bracket; of a map, keys and values in turn."""
        found: list[Node] = []
        if self.taken(end):
            return ()
        while True:
            found.append(self.expression())
            if pairs:
                self.expect(":")
                found.append(self.expression())
            if not self.taken(","):
                self.expect(end)
                return tuple(found)


_NUMBERS = ("INT_LIT", "UINT_LIT", "FLOAT_LIT")


def _unreadable(source: str, at: int) -> ExpressionError:
    """What stands at a place where nothing like it may stand, with a hint for what is often meant."""
    rest = source[at:].partition("\n")[0]
    line, before = source.count("\n", 0, at) + 1, source[:at].rpartition("\n")[2]
    near = f' near "{rest[:20]}"' if rest.strip() else " at the end"
    hint = ""
    if rest.startswith("=") and not rest.startswith("=="):
        hint = "; equality is written =="
    elif rest.split(" ")[0] in ("and", "or", "not", "is"):
        hint = "; CEL writes && for and, || for or, ! for not, == for is"
    elif rest.startswith("?") and before.endswith((".", "[")):
        hint = "; optional fields (.?) are not supported: every field is present, test it against null"
    elif rest[:1] in ("'", '"'):
        hint = "; is a quote missing?"
    return ExpressionError(source, [Fault(line, len(before) + 1, f"this cannot be read{near}{hint}")])
