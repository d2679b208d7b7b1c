"""The named kinds that a field of a form may ask for: what is one, what is none, and what a person is told."""

import pytest

from incidents.form_formats import FORMATS, LONGEST
from incidents.tasks import problems_of

GOOD = {
    "ip": ["203.0.113.9", "2001:db8::1"],
    "email": ["ana@example.org"],
    "url": ["https://shop.example.org/login?x=1"],
    "domain": ["example.org"],
    "host": ["pc-7", "pc-7.example.org", "10.0.0.7"],
    "hash": ["d41d8cd98f00b204e9800998ecf8427e", "a" * 64],
}
BAD = {
    "ip": ["example.org", "203.0.113.900", "203.0.113.9 or so"],
    "email": ["Ana", "ana@", "ana@example.org, luis@example.org"],
    "url": ["shop", "javascript:alert(1)"],
    "domain": ["203.0.113.9", "two words.example.org"],
    "host": ["the one of Ana", "pc-7\nx"],
    "hash": ["abc", "z" * 64],
}


def asked(name: str) -> dict[str, object]:
    return {"type": "object", "properties": {"one": {"type": "string", "format": name}, "many": {"type": "array", "items": {"type": "string", "format": name}}}}


@pytest.mark.parametrize("name", FORMATS)
def test_a_kind_takes_what_is_of_it_and_says_what_is_not(name: str) -> None:
    form = asked(name)
    assert problems_of(form, {"many": GOOD[name], "one": GOOD[name][0]}) == []
    assert problems_of(form, {"one": ""}) == []
    for value in [*BAD[name], "a" * (LONGEST + 1), f" {GOOD[name][0]}"]:
        (problem,) = problems_of(form, {"one": value})
        assert (problem.path, problem.message) == ("one", f"“{value[:80]}” is not {FORMATS[name].meant}.")
    (problem,) = problems_of(form, {"many": [GOOD[name][0], BAD[name][0]]})
    assert problem.path == "many.1"


def test_what_is_no_kind_is_any_text() -> None:
    assert problems_of(asked("text"), {"one": "anything at all", "many": ["x y"]}) == []
