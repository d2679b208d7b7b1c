"""A value written as a literal of another language is read there as that value, and as nothing else."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.expressions import TemplateError, render
from core.expressions.literals import literal

TEXT = st.text(min_size=1, max_size=60)


def read_odata(text: str) -> str:
    match = re.fullmatch(r"'((?:[^']|'')*)'", text, re.DOTALL)
    assert match is not None
    return match[1].replace("''", "'")


def read_quoted(text: str) -> str:
    match = re.fullmatch(r'"((?:[^"\\]|\\["\\])*)"', text, re.DOTALL)
    assert match is not None
    return re.sub(r"\\(.)", r"\1", match[1])


def read_plain(text: str) -> str:
    match = re.fullmatch(r"'([^'\\*]*)'", text, re.DOTALL)
    assert match is not None
    return match[1]


READERS = {"odata": read_odata, "scim": json.loads, "kql": read_quoted, "spl": read_quoted, "spl_pattern": read_quoted,
           "fql": read_plain}  # fmt: skip


@pytest.mark.parametrize("language", READERS)
@given(value=TEXT)
def test_what_is_written_is_what_is_read(language: str, value: str) -> None:
    try:
        written = literal(value, language)
    except TemplateError:
        return
    assert READERS[language](written) == value


@pytest.mark.parametrize("language", READERS)
def test_usual_values_can_be_written(language: str) -> None:
    for value in ("203.0.113.9", "jo@acme.example", "files-02.corp.example", "a b", "9f2b6c0d", "näme"):
        assert READERS[language](literal(value, language)) == value


@pytest.mark.parametrize(
    ("value", "language"),
    [
        ("", "odata"), ("a\nb", "kql"), ("a\x00", "scim"), ("a\u2028b", "kql"), ("x" * 2049, "odata"), ("10.*", "spl"), ("`drop`", "spl"),
        ("o'brien", "fql"), ("web*", "fql"), ("a", "sql"),
    ],
)  # fmt: skip
def test_what_cannot_be_written_is_refused(value: str, language: str) -> None:
    with pytest.raises(TemplateError):
        literal(value, language)


def test_templates_have_it_as_a_filter() -> None:
    wanted = {"user": "o'brien' or 1 eq 1 or 'a"}
    assert render("id eq {{ user | literal('odata') }}", wanted) == "id eq 'o''brien'' or 1 eq 1 or ''a'"
    with pytest.raises(TemplateError, match="no line breaks"):
        render("{{ user | literal('kql') }}", {"user": "a\n| delete"})
