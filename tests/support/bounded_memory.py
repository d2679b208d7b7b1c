"""The house's rule that nothing in memory grows without end: caches, queues, and what a module remembers."""

import ast
import re
from collections.abc import Iterator

from house_rules import Source

_QUEUES = {"Queue", "LifoQueue", "PriorityQueue"}
_MAPS = {"dict", "set", "list", "OrderedDict", "defaultdict", "Counter"}
_GROWS = {"append", "add", "setdefault", "update", "extend", "insert", "appendleft"}
_SHRINKS = {"pop", "popitem", "clear", "discard", "remove", "popleft"}
_REASON = re.compile(r"#.*(bounded by|import)", re.IGNORECASE)


def bounded_memory(source: Source) -> Iterator[str]:
    """Caches of functions with arguments have a size, queues too, and what a module remembers is forgotten somewhere.

    A comment that says by what it is bounded, or that it is filled at import, is its reason.
    """
    lines = source.text.splitlines()
    for line, problem in (*_caches(source.tree), *_queues(source.tree), *_remembered(source.tree)):
        if not _REASON.search(lines[line - 1]):
            yield f"{source.path}:{line}: {problem}"


def _called(node: ast.expr) -> str:
    if isinstance(node, ast.Subscript):
        return _called(node.value)
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _caches(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        given = node.args
        if not (given.args or given.posonlyargs or given.kwonlyargs or given.vararg or given.kwarg):
            continue
        for mark in node.decorator_list:
            if _called(mark) == "cache" and not isinstance(mark, ast.Call):
                yield mark.lineno, f"{node.name}() remembers every argument; use lru_cache with a size"
            if isinstance(mark, ast.Call) and _called(mark.func) == "lru_cache":
                sizes = [*mark.args, *(word.value for word in mark.keywords if word.arg == "maxsize")]
                if any(isinstance(size, ast.Constant) and size.value is None for size in sizes):
                    yield mark.lineno, f"{node.name}() remembers every argument; give lru_cache a size"


def _queues(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = _called(node.func)
        words = {word.arg for word in node.keywords}
        if name in _QUEUES and not node.args and "maxsize" not in words:
            yield node.lineno, "a queue without a maxsize"
        if name == "SimpleQueue":
            yield node.lineno, "a SimpleQueue knows no size"
        if name == "deque" and len(node.args) < 2 and "maxlen" not in words:
            yield node.lineno, "a deque without a maxlen"


def _remembered(tree: ast.Module) -> Iterator[tuple[int, str]]:
    names = {}
    for node in tree.body:
        target = (
            node.target
            if isinstance(node, ast.AnnAssign)
            else node.targets[0]
            if isinstance(node, ast.Assign)
            else None
        )
        value = node.value if isinstance(node, ast.AnnAssign | ast.Assign) else None
        if isinstance(target, ast.Name) and value is not None and _is_empty(value):
            names[target.id] = node.lineno
    grows, shrinks = _written_in_functions(tree)
    for name, line in names.items():
        if name in grows and name not in shrinks:
            yield line, f"{name} grows and never shrinks"


def _is_empty(value: ast.expr) -> bool:
    if isinstance(value, ast.Dict):
        return not value.keys
    if isinstance(value, ast.List | ast.Set):
        return not value.elts
    return isinstance(value, ast.Call) and _called(value.func) in _MAPS and not value.keywords


def _written_in_functions(tree: ast.Module) -> tuple[set[str], set[str]]:
    """The names that something is put into, and those that something is taken out of or whose length is minded."""
    grows, shrinks = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            if isinstance(node.ctx, ast.Store):
                (shrinks if isinstance(node.slice, ast.Slice) else grows).add(node.value.id)
            if isinstance(node.ctx, ast.Del):
                shrinks.add(node.value.id)
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
        ):
            (grows if node.func.attr in _GROWS else shrinks if node.func.attr in _SHRINKS else set()).add(
                node.func.value.id
            )
        if (
            isinstance(node, ast.Call)
            and _called(node.func) == "len"
            and node.args
            and isinstance(node.args[0], ast.Name)
        ):
            shrinks.add(node.args[0].id)
    return grows, shrinks
