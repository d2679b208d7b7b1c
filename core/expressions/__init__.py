"""The two small languages people write rules and playbooks in: CEL decides, Jinja2 writes."""

import core.expressions._cel  # noqa: F401  # first: it decides what `import cel` brings along
from core.expressions.conditions import (
    Condition,
    Context,
    Expression,
    Result,
    compile_condition,
    compile_value,
    evaluate,
)
from core.expressions.errors import ExpressionError, TemplateError, TemplateTooLarge
from core.expressions.schema import Schema, Type, one_of
from core.expressions.templates import TemplateProblem, check_template, is_template, render

__all__ = [
    "Condition",
    "Context",
    "Expression",
    "ExpressionError",
    "Result",
    "Schema",
    "TemplateError",
    "TemplateProblem",
    "TemplateTooLarge",
    "Type",
    "check_template",
    "compile_condition",
    "compile_value",
    "evaluate",
    "is_template",
    "one_of",
    "render",
]
