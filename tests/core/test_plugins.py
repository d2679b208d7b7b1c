"""YAML is read with its lines, and what is wrong in it is told with its place; no nesting ends the process."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Invalid
from core.plugins import load_yaml

WRONG = [
    ("a: 1\nb: 2\na: 3", 3, "'a' stands here twice"),
    ("a: b: c", 1, "mapping values are not allowed"),
    ("a:\n\t- x", 2, "cannot start any token"),
    ("x: 'abc", 1, "unexpected end of stream"),
    ("a: &one 1\nb: *one", 2, "alias"),
    ("a: 1\n? [b]\n: 2", 2, "a key must be a word or a number"),
    ("true: 1", 1, "a key must be a word or a number"),
    ("a: 1\n---\nb: 2", 2, "another document"),
    ("a: 1\nb: \ud800", 2, "half of a pair"),
    ("a: 1\nb: !!python/object:os.system x", 2, "could not determine a constructor"),
    ("a:\n" + "- " * 300 + "x", 2, "levels deep"),
    ("[" * 300_000, 1, "levels deep"),
]


@pytest.mark.parametrize(("text", "line", "why"), WRONG)
def test_what_is_wrong_is_told_with_its_line(text: str, line: int, why: str) -> None:
    with pytest.raises(Invalid, match=why) as told:
        load_yaml(text, "some.yaml")
    assert told.value.problems[0].path == f"some.yaml:{line}"


def test_words_stay_words_and_lines_are_known() -> None:
    data, marks = load_yaml("on: yes\noff:\n  - 1\n  - true\n  - 2026-01-01\n  - ~\nlong: >\n  a\n  b\n")
    assert data == {"on": "yes", "off": [1, True, "2026-01-01", None], "long": "a b\n"}
    assert [marks.line(path) for path in ((), ("on",), ("off",), ("off", 1), ("long",), ("off", 9))] == [
        1,
        1,
        2,
        4,
        7,
        2,
    ]
    assert load_yaml("")[0] is None
    assert load_yaml("# nothing\n")[0] is None


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(Invalid):
        load_yaml(text)
