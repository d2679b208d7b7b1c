"""Writes a value as a quoted literal of another query language, so that what it holds can never become syntax."""

import re
from collections.abc import Callable

from core.expressions.errors import TemplateError

MOST = 2_048  # characters of one literal
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def literal(value: str, language: str) -> str:
    """`value` as one literal of odata, scim, kql, fql, spl or spl_pattern, with its quotation marks. Raises TemplateError.

    Control characters are refused everywhere, and so is what a language has no certain way to write, or where a `*` would
    look for more than is said (spl_pattern allows it).
    """
    if language not in _LANGUAGES:
        raise TemplateError(f"there is no language “{language}”; there are {', '.join(sorted(_LANGUAGES))}")
    if not value:
        raise TemplateError("nothing cannot be looked for")
    if len(value) > MOST or _CONTROL.search(value):
        raise TemplateError(f"a value of {language} has at most {MOST:,} characters and no line breaks")
    return _LANGUAGES[language](value)


def _odata(value: str) -> str:
    """OData 4.01 URL conventions §5.1.1.6.2: a quotation mark is doubled."""
    return "'" + value.replace("'", "''") + "'"


def _backslashed(value: str) -> str:
    """RFC 7644 §3.4.2.2 (a JSON string) and Kusto's string literals: quotation marks and backslashes are escaped."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _spl(value: str) -> str:
    if "*" in value or "`" in value:
        raise TemplateError("a * would look for more than it says, and a ` is the beginning of a macro")
    return _backslashed(value)


def _fql(value: str) -> str:
    """Falcon's query language documents no escape: what would need one is refused."""
    if re.search(r"[*'\\~!\[\]]", value):
        raise TemplateError("Falcon's filters cannot hold * ' \\ ~ ! [ ]")
    return f"'{value}'"


_LANGUAGES: dict[str, Callable[[str], str]] = {
    "odata": _odata,
    "scim": _backslashed,
    "kql": _backslashed,
    "spl": _spl,
    "spl_pattern": _backslashed,
    "fql": _fql,
}
