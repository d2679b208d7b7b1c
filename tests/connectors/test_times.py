"""A moment, however a product writes it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.times import parse_time

AT = datetime(2026, 10, 27, 9, 30, 18, tzinfo=UTC)


@pytest.mark.parametrize(
    "written",
    [
        "2026-10-27T09:30:18Z", "2026-10-27T09:30:18+00:00", "2026-10-27T10:30:18+0100", "2026-10-27T06:30:18.000-0300",
        "2026-10-27 09:30:18", "2026-10-27 09:30:18 +0000 UTC", "2026-10-27 09:30:18 UTC", "2026-10-27T09:30:18.000000000Z",
        1793093418, 1793093418.0, "1793093418", 1793093418000, "1793093418000", 1793093418000000, 1793093418000000000,
        "1793093418000000000", "Oct 27 2026 09:30:18", "Oct 27 2026 09:30:18.000 UTC", "2026.10.27 09:30:18", "2026-10-27T09:30:18,000Z",
    ],
)  # fmt: skip
def test_written_in_many_ways(written: Any) -> None:
    assert parse_time(written) == AT


def test_fractions_are_kept_to_the_microsecond() -> None:
    assert parse_time("2020-02-06T00:17:58.432911368Z") == datetime(2020, 2, 6, 0, 17, 58, 432911, tzinfo=UTC)
    assert parse_time(1507591916746609046) == datetime(2017, 10, 9, 23, 31, 56, 746609, tzinfo=UTC)


def test_a_time_without_a_zone_takes_the_sources() -> None:
    assert parse_time("2026-07-01 12:00:00", ZoneInfo("Europe/Madrid")) == datetime(
        2026, 7, 1, 10, tzinfo=UTC
    )
    assert parse_time("2026-07-01T12:00:00Z", ZoneInfo("Europe/Madrid")) == datetime(
        2026, 7, 1, 12, tzinfo=UTC
    )


@pytest.mark.parametrize(
    "written",
    [
        None,
        "",
        "{timestamp}",
        "0001-01-01T00:00:00Z",
        "1970-01-01 00:00:00Z",
        0,
        True,
        "tomorrow",
        "2026-13-01T00:00:00Z",
        [],
        "9" * 40,
        float("inf"),
        float("nan"),
    ],
)
def test_no_time_is_said_so(written: Any) -> None:
    assert parse_time(written) is None


@given(st.one_of(st.text(max_size=80), st.integers(), st.floats(), st.none(), st.booleans()))
def test_nothing_breaks_it(value: Any) -> None:
    at = parse_time(value)
    assert at is None or at.tzinfo is UTC
