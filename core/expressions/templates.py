"""Text and values written in Jinja2: rendered from data that can never become a template itself."""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from jinja2 import TemplateSyntaxError, UndefinedError, nodes
from jinja2.environment import Template
from jinja2.exceptions import SecurityError, TemplateAssertionError, TemplateRuntimeError

from core.expressions import filters
from core.expressions.bounds import OUTPUT_LIMIT, Missing, Sandbox, begin, bounded_range, plain
from core.expressions.errors import TemplateError, TemplateTooLarge, did_you_mean
from core.expressions.schema import Schema, Type

SOURCE_LIMIT = 32 * 1024


class TemplateProblem(NamedTuple):
    """One fault in a template; `path` says where in a nested value ("" for a single text)."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path + ': ' if self.path else ''}line {self.line}: {self.message}"


class _Compiled(NamedTuple):
    template: Template
    single: bool


def _environment() -> Sandbox:
    made = Sandbox(undefined=Missing, autoescape=False, finalize=filters.text, cache_size=0)
    made.filters = dict(filters.FILTERS)
    made.tests = {name: test for name, test in made.tests.items() if name in filters.TESTS}
    made.globals = {"range": bounded_range}
    return made


_ENVIRONMENT = _environment()


def is_template(value: str) -> bool:
    """Does the text hold anything to render?"""
    return "{{" in value or "{%" in value or "{#" in value


def render(
    template: Any, variables: Mapping[str, Any], *, limit: int = OUTPUT_LIMIT, null: str | None = ""
) -> Any:
    """Render a text, or every text inside a dict or list; other values pass as they are.

    A text that is exactly one `{{ }}` gives the value itself, with its type (plain data); anything else gives text.
    limit: characters (and items) for the whole result. null: what stands for null inside text; None refuses it
    (use that for URLs). Raises TemplateError for what is missing or unreadable, TemplateTooLarge beyond the limit.
    """
    left = [limit]
    return _render(template, variables, left, null, "")


def _render(template: Any, variables: Mapping[str, Any], left: list[int], null: str | None, path: str) -> Any:
    if isinstance(template, str):
        if not is_template(template):
            return template
        try:
            made, size = _render_text(template, variables, left[0], null)
        except TemplateError as error:
            raise _at(path, error) from None
        left[0] -= size
        return made
    if isinstance(template, Mapping):
        return {
            key: _render(inner, variables, left, null, f"{path}.{key}" if path else str(key))
            for key, inner in template.items()
        }
    if isinstance(template, list | tuple):
        return [
            _render(inner, variables, left, null, f"{path}[{index}]") for index, inner in enumerate(template)
        ]
    return template


def _at(path: str, error: TemplateError) -> TemplateError:
    return type(error)(f"{path}: {error.message}") if path else error


def _render_text(source: str, variables: Mapping[str, Any], limit: int, null: str | None) -> tuple[Any, int]:
    compiled = _compile(source)
    begin(limit, null)
    try:
        if compiled.single:
            context = compiled.template.new_context(dict(variables))
            for _ in compiled.template.root_render_func(context):
                pass
            return plain(context.vars["result"], limit)
        pieces: list[str] = []
        made = 0
        for piece in compiled.template.root_render_func(compiled.template.new_context(dict(variables))):
            made += len(piece)
            if made > limit:
                raise TemplateTooLarge(f"the text is longer than {limit:,} characters")
            pieces.append(piece)
        return "".join(pieces), made
    except UndefinedError as error:
        raise TemplateError(str(error.message)) from None
    except SecurityError as error:
        raise TemplateError(f"this is not allowed in a template: {error.message}") from None
    except TemplateRuntimeError as error:
        raise TemplateError(str(error.message)) from None
    except (TypeError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
        raise TemplateError(f"{_shown(source)} cannot be computed: {str(error)[:200]}") from None


def _shown(source: str) -> str:
    line = source.strip().partition("\n")[0]
    return line if len(line) <= 60 else line[:57] + "…"


@lru_cache(maxsize=4096)
def _compile(source: str) -> _Compiled:
    if len(source) > SOURCE_LIMIT:
        raise TemplateTooLarge(f"the template is longer than {SOURCE_LIMIT:,} characters")
    try:
        tree = _ENVIRONMENT.parse_bounded(source)
        value = _single(tree)
        if value is not None:
            body = nodes.Assign(nodes.Name("result", "store", lineno=1), value, lineno=1)
            tree = nodes.Template([body], lineno=1)
            tree.set_environment(_ENVIRONMENT)
        return _Compiled(_ENVIRONMENT.from_string(tree), value is not None)
    except TemplateSyntaxError as error:
        raise TemplateError(_syntax(error), line=error.lineno) from None
    except RecursionError:
        raise TemplateError("the template is nested too deeply", line=1) from None


def _single(tree: nodes.Template) -> nodes.Expr | None:
    if len(tree.body) != 1 or not isinstance(tree.body[0], nodes.Output):
        return None
    parts = tree.body[0].nodes
    if len(parts) != 1 or isinstance(parts[0], nodes.TemplateData):
        return None
    return parts[0]


def _syntax(error: TemplateSyntaxError) -> str:
    message = str(error.message or "this cannot be read").rstrip(".")
    if isinstance(error, TemplateAssertionError):
        name = message.partition("'")[2].partition("'")[0]
        known = filters.FILTERS if "filter" in message else filters.TESTS
        public = [item for item in known if not item.startswith("_")]
        return (
            f'there is no {"filter" if "filter" in message else "test"} "{name}"{did_you_mean(name, public)}'
        )
    return message


def check_template(source: Any, roots: Schema | Iterable[str]) -> list[TemplateProblem]:
    """What is wrong with a template before it is used: syntax, unknown filters, unknown names.

    source: a text, or a dict or list holding texts. With a Schema the fields are checked too.
    """
    schema = roots if isinstance(roots, Schema) else Schema(dict.fromkeys(roots, "any"))
    return list(_check(source, schema, ""))


def _check(source: Any, schema: Schema, path: str) -> Iterator[TemplateProblem]:
    if isinstance(source, Mapping):
        for key, inner in source.items():
            yield from _check(inner, schema, f"{path}.{key}" if path else str(key))
    elif isinstance(source, list | tuple):
        for index, inner in enumerate(source):
            yield from _check(inner, schema, f"{path}[{index}]")
    elif isinstance(source, str) and is_template(source):
        try:
            _compile(source)
            tree = _ENVIRONMENT.parse(source)
        except TemplateError as error:
            message = error.message.partition(": ")[2] if error.line else error.message
            yield TemplateProblem(path, error.line or 1, message)
        else:
            yield from _names(tree, schema, path)


def _names(tree: nodes.Template, schema: Schema, path: str) -> Iterator[TemplateProblem]:
    """Unknown roots, and fields that a declared object does not have; names set inside are known everywhere."""
    local = {node.name for node in tree.find_all(nodes.Name) if node.ctx == "store"} | {"loop", "range"}
    for name in tree.find_all(nodes.Name):
        if name.ctx == "load" and name.name not in local and name.name not in schema.roots:
            hint = did_you_mean(name.name, schema.roots)
            yield TemplateProblem(path, name.lineno, f'there is no "{name.name}"{hint}')
    for access in tree.find_all(nodes.Getattr):
        base = _type(access.node, schema, local)
        known = base is None or base.kind != "object" or access.attr in base.fields
        if not known and base is not None and access.attr not in ("items", "keys", "values", "get"):
            hint = did_you_mean(access.attr, base.fields)
            yield TemplateProblem(path, access.lineno, f'there is no "{access.attr}" here{hint}')


def _type(node: nodes.Node, schema: Schema, local: set[str]) -> Type | None:
    if isinstance(node, nodes.Name):
        return schema.roots.get(node.name) if node.name not in local else None
    if isinstance(node, nodes.Getattr):
        base = _type(node.node, schema, local)
        return base.fields.get(node.attr) if base is not None else None
    return None
