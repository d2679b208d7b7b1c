"""Reads JSON that a person typed into a form; what is wrong with it is told with its line and how to mend it."""

import json
import re
from typing import Any

from core.errors import Invalid
from web.languages import gettext as _

_SHOWN = 80


def read(text: str) -> Any:
    """What was typed. Raises Invalid: the line, what stands there, what is wrong and how it is mended."""
    try:
        return _plain(json.loads(text, parse_constant=_constant))
    except json.JSONDecodeError as error:
        line = text.split("\n")[error.lineno - 1] if text else ""
        told = {
            "line": error.lineno,
            "column": error.colno,
            "text": _around(line, error.colno - 1),
            "why": _why(error, text),
        }
        if not told["text"]:
            raise Invalid(_("Line %(line)s is not JSON: %(why)s") % told) from None
        raise Invalid(_("Line %(line)s is not JSON, at “%(text)s”: %(why)s") % told) from None
    except RecursionError:
        raise Invalid(_("This is nested too deeply. Write it with fewer brackets inside each other.")) from None


def _around(line: str, at: int) -> str:
    """The place in its line, and a little before it."""
    start = max(0, at - _SHOWN // 2)
    return line[start : start + _SHOWN].strip()


def _why(error: json.JSONDecodeError, text: str) -> str:
    """What is wrong, and what to write instead."""
    said, before, here = error.msg, text[: error.pos].rstrip(), text[error.pos : error.pos + 1]
    if "trailing comma" in said or (before.endswith(",") and here in ("}", "]", "")):
        return _("a comma stands before the end. Take the last comma away.")
    if here in ("\u201c", "\u201d", "'"):
        return _('text stands in plain double quotes. Write "…" in place of these quotes.')
    if "',' delimiter" in said:
        return _("a comma is missing before this, or a bracket is not closed.") if here else _("a bracket is not closed. Close each { with } and each [ with ].")
    if "':' delimiter" in said:
        return _("a colon is missing between a name and its value.")
    if "property name" in said:
        return _('a name is missing. Names stand in double quotes, such as {"name": "value"}.')
    if "Unterminated string" in said:
        return _('a text is not closed. End it with a double quote, ".')
    if "control character" in said:
        return _("a line ends, or a tab stands, inside a text. Write \\n for a new line and \\t for a tab.")
    if "escape" in said:
        return _("a backslash stands alone. Write two of them, \\\\, for one.")
    if "Extra data" in said:
        return _("the JSON has ended before this. Take the rest away, or put all of it between one pair of { }.")
    return _('a value is missing. Write a number, true, false, null, "text", [ ] or { }.')


def _constant(name: str) -> Any:
    raise Invalid(_("%(name)s is no number in JSON. Write a number, or null.") % {"name": name})


def _plain(value: Any) -> Any:
    """The value, if it can be stored."""
    if not _storable(value):
        raise Invalid(_("It holds something that cannot be stored: a number without end, or a character such as \\u0000. Take it away."))
    return value


def _storable(value: Any) -> bool:
    try:
        written = json.dumps(value, ensure_ascii=False, allow_nan=False)
        written.encode()
    except ValueError:  # a half of a character, too
        return False
    return not re.search(r"(?<!\\)(\\\\)*\\u0000", written)
