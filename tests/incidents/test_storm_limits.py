"""When a source asks for too much: the limits of a storm, over any pattern of arrivals."""

from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from incidents import storms

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
seconds = st.integers(0, 1200)


@settings(suppress_health_check=[HealthCheck.too_slow])  # on a busy machine its first input takes a second
@given(
    before=st.lists(st.tuples(seconds, st.integers(1, 4)), max_size=30),
    now=st.dictionaries(seconds, st.integers(1, 4), min_size=1, max_size=5),
)
def test_a_limit_is_exceeded_when_a_window_that_ends_now_holds_more(
    before: list[tuple[int, int]], now: dict[int, int]
) -> None:
    events = [*before, *now.items()]
    wanted = next(
        (
            limit
            for limit in storms.ORDINARY
            if any(
                sum(number for at, number in events if 0 <= end - at < limit.window.total_seconds()) > limit.most
                for end in now
            )
        ),
        None,
    )  # fmt: skip
    found = storms.exceeded(
        [(START + timedelta(seconds=at), number) for at, number in before],
        {START + timedelta(seconds=at): number for at, number in now.items()},
        storms.ORDINARY,
    )
    assert found == wanted
