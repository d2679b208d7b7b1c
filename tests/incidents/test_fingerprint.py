"""Fingerprints: the same fields are the same alert, anything else is another one."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from incidents.fingerprint import fingerprint, identifying_fields

FIELDS = st.lists(st.tuples(st.text(max_size=8), st.none() | st.text(max_size=8)), min_size=1, max_size=5)


@given(FIELDS, st.randoms(use_true_random=False))
def test_the_order_of_fields_does_not_matter(fields: list, random: object) -> None:
    assume(any(value is not None for _, value in fields))
    shuffled = fields[:]
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # a Random
    assert fingerprint(fields) == fingerprint(shuffled)


@given(FIELDS, FIELDS)
def test_different_fields_are_different_alerts(one: list, other: list) -> None:
    for fields in (one, other):
        assume(any(value is not None for _, value in fields))
    same = sorted(one, key=repr) == sorted(other, key=repr)
    assert (fingerprint(one) == fingerprint(other)) is same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([("a", "bc"), ("d", "e")], [("ab", "c"), ("d", "e")]),
        ([("a", ""), ("x", "1")], [("a", None), ("x", "1")]),
        ([("a", "1"), ("b", None)], [("a", "1")]),
        ([("a", "1"), ("b", "2")], [("a", "2"), ("b", "1")]),
    ],
)
def test_near_misses(one: list, other: list) -> None:
    assert fingerprint(one) != fingerprint(other)


def test_it_names_its_version_and_never_changes() -> None:
    assert fingerprint([("rule", "5712"), ("host", None)]) == "1:0157b4b7f035117e29c6ad0fdc141ec5f5d4282f"


def test_nothing_identifies_nothing() -> None:
    with pytest.raises(ValueError, match="at least one field"):
        fingerprint([("a", None)])


def test_the_fallback_serves_when_no_declared_field_has_a_value() -> None:
    assert identifying_fields([("a", None)], fallback=[("title", "t")]) == [("fallback.title", "t")]
    assert identifying_fields([("a", "1")], fallback=[("title", "t")]) == [("a", "1")]
