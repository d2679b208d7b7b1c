"""Cursors name a place and nothing else; filters stay in the address."""

import uuid
from datetime import UTC, datetime

import pytest
from sqlalchemy import select
from starlette.datastructures import QueryParams

from core.db import reading
from core.errors import Invalid
from incident_bench import low, take
from incidents.models import Alert
from web import keyset

AT = datetime(2026, 11, 3, 12, 0, 0, 123456, tzinfo=UTC)


def test_a_cursor_says_where_it_was() -> None:
    row = uuid.uuid4()
    assert keyset.place(keyset.cursor_of(AT, row)) == (AT, row)


@pytest.mark.parametrize("cursor", ["x", "12-zz", "-", "ffffffffffffffffffffffff-" + "0" * 32])
def test_a_broken_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(Invalid):
        keyset.place(cursor)


def test_a_filter_is_added_removed_and_starts_at_the_first_page() -> None:
    given = QueryParams("severity=high&after=abc")
    assert keyset.address("/x", given) == "/x?severity=high"
    assert keyset.address("/x", given, severity=None) == "/x"
    assert keyset.address("/x", given, after="def") == "/x?severity=high&after=def"


def test_pages_follow_each_other_and_end(database: object) -> None:
    made = [done.alert_id for done in take(*[low(fingerprint=(("n", str(n)),)) for n in range(5)])]
    seen: list[uuid.UUID] = []
    cursor = None
    for _ in range(3):
        query = keyset.newest_first(select(Alert), Alert.created_at, Alert.id, cursor, size=2)
        with reading() as session:
            rows, more = keyset.cut(session.scalars(query).all(), 2)
        seen += [row.id for row in rows]
        cursor = keyset.cursor_of(rows[-1].created_at, rows[-1].id)
    assert not more
    assert sorted(seen) == sorted(made)


def test_one_row_more_means_another_page() -> None:
    assert keyset.cut([1, 2, 3], 2) == ([1, 2], True)
    assert keyset.cut([1, 2], 2) == ([1, 2], False)
