"""Counting within windows, crossing marks, lateness."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from incidents.repeats import (
    MAX_CHECKPOINTS,
    already_over,
    checkpoint,
    count_within,
    crossed,
    is_late,
    quiet_until,
    resolve_is_stale,
)

T0 = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=200), st.integers(1, 20_000))
def test_the_count_within_a_window_is_never_too_low(gaps: list[int], window: int) -> None:
    at, history, times = T0, [], []
    for total, gap in enumerate(gaps, start=1):
        at += timedelta(seconds=gap)
        times.append(at)
        history = checkpoint(history, at, total)
    assert len(history) <= MAX_CHECKPOINTS
    span = timedelta(seconds=window)
    true = sum(1 for seen in times if seen >= at - span)
    told = count_within(history, len(gaps), at, span)
    assert true <= told <= len(gaps)
    if len(gaps) <= MAX_CHECKPOINTS:
        assert told == true
    assert count_within(history, len(gaps), at, None) == len(gaps)


def test_crossing() -> None:
    assert crossed(0, 9) == []
    assert crossed(9, 10) == [10]
    assert crossed(5, 1500, [7, 10]) == [7, 10, 100, 1000]
    assert crossed(10, 99) == []


def test_late_is_more_than_an_hour() -> None:
    assert not is_late(T0, T0 + timedelta(hours=1))
    assert is_late(T0, T0 + timedelta(hours=1, microseconds=1))
    assert not is_late(None, T0)
    assert not is_late(T0 + timedelta(days=1), T0)


@given(st.integers(0, 10**7), st.integers(0, 10**6))
def test_quiet_until_is_at_most_a_minute_late_and_never_early(second: int, after: int) -> None:
    exact = T0 + timedelta(seconds=second + after)
    until = quiet_until(T0 + timedelta(seconds=second), timedelta(seconds=after))
    assert timedelta(0) < until - exact <= timedelta(minutes=1)
    assert until.second == 0


def test_out_of_order() -> None:
    assert already_over(T0, T0)
    assert not already_over(T0 + timedelta(seconds=1), T0)
    assert not already_over(None, T0)
    assert resolve_is_stale(T0, T0 + timedelta(seconds=1))
    assert not resolve_is_stale(T0, T0)
    assert not resolve_is_stale(None, T0)
