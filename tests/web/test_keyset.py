"""Filters stay in the address of a list's pages."""

from starlette.datastructures import QueryParams

from web import keyset


def test_a_filter_is_added_removed_and_starts_at_the_first_page() -> None:
    given = QueryParams("severity=high&after=abc")
    assert keyset.address("/x", given) == "/x?severity=high"
    assert keyset.address("/x", given, severity=None) == "/x"
    assert keyset.address("/x", given, after="def") == "/x?severity=high&after=def"
