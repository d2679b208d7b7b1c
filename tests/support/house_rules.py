"""The house's rules for source files, each a function from a file's text to the problems it sees."""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from tables_ready import PACKAGES, ROOT


@dataclass(frozen=True)
class Source:
    """One Python file: its path from the root, and its text."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The parsed text."""
        return ast.parse(self.text)

    @property
    def lines(self) -> list[tuple[int, str]]:
        """The lines, numbered from 1."""
        return list(enumerate(self.text.splitlines(), 1))


Rule = Callable[[Source], Iterator[str]]


def sources(*folders: str) -> list[Source]:
    """Every Python file of the folders (default: all packages, bench and tests), generated ones left out."""
    found = [
        file
        for folder in (folders or (*PACKAGES, "bench", "tests"))
        for file in sorted((ROOT / folder).rglob("*.py"))
        if "migrations/versions" not in file.as_posix()
    ]
    return [_read(file) for file in found]


@cache
def _read(file: Path) -> Source:
    return Source(file.relative_to(ROOT).as_posix(), file.read_text(encoding="utf-8"))


def caption(source: Source) -> Iterator[str]:
    """Each file opens with one plain sentence saying what it holds."""
    doc = ast.get_docstring(source.tree)
    if not source.text.strip() and source.path.endswith("__init__.py"):
        return
    first = (doc or "").strip().split("\n\n")[0]
    if not first:
        yield f"{source.path}:1: opens without a caption"
    elif not first.endswith((".", "?", ":")):
        yield f"{source.path}:1: the caption is not a sentence: {first[-40:]!r}"


def length(source: Source) -> Iterator[str]:
    """A file that passes 400 lines does more than one thing."""
    if len(source.lines) > 400:
        yield f"{source.path}: {len(source.lines)} lines; split it by what it does"


def one_commit(source: Source) -> Iterator[str]:
    """`.commit(` stands in core/db.py only: a transaction begins and ends in one place."""
    if source.path != "core/db.py":
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Attribute) and node.attr == "commit":
                yield f"{source.path}:{node.lineno}: commits; use unit_of_work()"


def caught_with_reason(source: Source) -> Iterator[str]:
    """Catching everything needs its reason beside it, unless it is raised again at the end."""
    lines = source.text.splitlines()
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler) and _catches_everything(node):
            raised_again = isinstance(node.body[-1], ast.Raise)
            if not raised_again and not re.search(r"#.*\w{3}", lines[node.lineno - 1]):
                yield f"{source.path}:{node.lineno}: catches everything and does not say why"


def _catches_everything(handler: ast.ExceptHandler) -> bool:
    names = (
        {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)} if handler.type else set()
    )
    return handler.type is None or bool(names & {"Exception", "BaseException"})


def silenced_with_reason(source: Source) -> Iterator[str]:
    """`type: ignore` and `noqa` name what they silence; a type: ignore and a blanket noqa say why."""
    for number, line in source.lines:
        if re.search(r"#\s*type:\s*ignore(?!\[[\w, -]+\]\s*#\s*\w)", line):
            yield f"{source.path}:{number}: `type: ignore` without its code and a reason"
        if re.search(r"#\s*noqa(?!: ?[A-Z]+\d+)", line):
            yield f"{source.path}:{number}: `noqa` without its code"


_UNFINISHED = re.compile(
    r"\b(TODO|FIXME|XXX|HACK)\b|raise NotImplementedError|pytest\.(mark\.)?(skip|skipif|xfail|importorskip)\b"
    r"|@unittest\.skip"
)


def finished(source: Source) -> Iterator[str]:
    """Nothing is left for later, no test is skipped."""
    for number, line in source.lines:
        if _UNFINISHED.search(line):
            yield f"{source.path}:{number}: unfinished or skipped: {line.strip()[:80]}"


def no_machine_paths(source: Source) -> Iterator[str]:
    """No path of the machine it was written on."""
    for number, line in source.lines:
        if re.search(r"""["'`(\s]/(work|root|home/\w+|Users)/""", line):
            yield f"{source.path}:{number}: a path of one machine: {line.strip()[:80]}"


_WRITES = {"unit_of_work", "UnitOfWork"}


def reading_stays_reading(source: Source) -> Iterator[str]:
    """A handler of GET changes nothing: it opens no unit of work."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _answers_get(node):
            used = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} & _WRITES
            if used:
                yield f"{source.path}:{node.lineno}: {node.name} answers GET and opens a {used.pop()}"


def _answers_get(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(
        isinstance(decorator, ast.Call)
        and isinstance(decorator.func, ast.Attribute)
        and decorator.func.attr in {"get", "page"}
        for decorator in node.decorator_list
    )


def permissions_asked(source: Source) -> Iterator[tuple[str, str]]:
    """The permissions that a file names literally, each with its place: `require(actor, "x.y")`, `.may("x.y")`."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            position = {"require": 1, "may": 0, "needs": 0, "allowed": 0}.get(name)
            if position is not None and len(node.args) > position:
                argument = node.args[position]
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield argument.value, f"{source.path}:{node.lineno}"


RULES: dict[str, tuple[Rule, tuple[str, ...]]] = {
    # rule → the folders it holds in (empty: everywhere)
    "caption": (caption, ()),
    "length": (length, (*PACKAGES, "bench")),
    "one commit": (one_commit, PACKAGES),
    "caught with reason": (caught_with_reason, ()),
    "silenced with reason": (silenced_with_reason, ()),
    "finished": (finished, ()),
    "no machine paths": (no_machine_paths, ()),
    "reading stays reading": (reading_stays_reading, ("web", "ingest")),
}
