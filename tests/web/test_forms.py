"""Forms of tasks: fields follow the schema, answers come in its types."""

import pytest

from core.errors import Invalid
from web import forms

SCHEMA = {
    "type": "object",
    "required": ["typed"],
    "properties": {
        "typed": {"type": "boolean", "title": "Did you type your password?"},
        "many": {"type": "integer"},
        "where": {"enum": ["home", "office"]},
        "names": {"type": "array"},
        "note": {"type": "string", "maxLength": 1000},
    },
}


def test_fields_follow_the_schema() -> None:
    fields = forms.asked(SCHEMA)
    assert [(field.name, field.kind) for field in fields] == [
        ("typed", "yesno"), ("many", "number"), ("where", "choice"), ("names", "list"), ("note", "long"),
    ]  # fmt: skip
    assert fields[0].label == "Did you type your password?"
    assert fields[0].required


def test_answers_come_in_the_schemas_types() -> None:
    given = {"typed": "no", "many": "3", "where": "home", "names": "a\n\n b ", "note": ""}
    assert forms.answers(SCHEMA, given) == {"typed": False, "many": 3, "where": "home", "names": ["a", "b"]}


def test_a_word_is_not_a_number() -> None:
    with pytest.raises(Invalid, match="not a number"):
        forms.answers(SCHEMA, {"many": "three"})


def test_no_form_asks_nothing() -> None:
    assert forms.asked(None) == []
    assert forms.answers(None, {"x": "y"}) == {}
