"""The on-call resolver: no gap and no overlap, whatever the clocks of a zone do."""

import itertools
from datetime import UTC, datetime, time, timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notify.oncall.resolver import Kind, Layer, Override, Schedule, Window, gaps, on_call, resolve
from notify.oncall.zones import UnclearTime, boundary, typed, wall_time

ANA, BEA, CAI = (UUID(int=n) for n in (1, 2, 3))
ZONES = [
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Europe/Madrid",
    "America/New_York",
    "Africa/Casablanca",
    "UTC",
]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def daily(zone: str = "Europe/Madrid", **changes: object) -> Schedule:
    values: dict[str, object] = {"name": "SOC", "kind": Kind.daily, "every": 1, "people": (ANA, BEA)}
    values |= {"starts": datetime(2026, 3, 27, 9), **changes}
    return Schedule("soc", zone, (Layer(**values),))  # type: ignore[arg-type]  # values are the fields by name


def test_hand_off_stays_at_wall_time_when_clocks_change() -> None:
    shifts = resolve(daily(), at("2026-03-28T00:00"), at("2026-03-31T00:00"))
    assert [s.start.isoformat() for s in shifts][1:] == [
        "2026-03-28T08:00:00+00:00",
        "2026-03-29T07:00:00+00:00",
        "2026-03-30T07:00:00+00:00",
    ]
    assert [s.user_id for s in shifts] == [ANA, BEA, ANA, BEA]
    assert shifts[0].why == "turn 1 of 2 in SOC"


def test_a_repeated_hand_off_is_its_first_occurrence() -> None:
    schedule = daily(starts=datetime(2026, 10, 24, 2, 30))
    shifts = resolve(schedule, at("2026-10-24T12:00"), at("2026-10-25T12:00"))
    assert shifts[1].start == at("2026-10-25T00:30")  # 02:30 summer time, not the second 02:30


def test_a_skipped_hand_off_is_the_moment_of_the_jump() -> None:
    schedule = daily(starts=datetime(2026, 3, 28, 2, 30))
    shifts = resolve(schedule, at("2026-03-28T12:00"), at("2026-03-29T12:00"))
    assert shifts[1].start == at("2026-03-29T01:00")


def test_a_zone_that_skipped_a_day_keeps_the_turns_in_order() -> None:
    schedule = daily("Pacific/Apia", starts=datetime(2011, 12, 28, 9), people=(ANA, BEA, CAI))
    shifts = resolve(schedule, at("2011-12-28T19:00"), at("2012-01-01T19:00"))
    assert [s.user_id for s in shifts] == [ANA, BEA, CAI, ANA, BEA]
    assert gaps(shifts, at("2011-12-28T19:00"), at("2012-01-01T19:00")) == []


def test_half_hour_change_of_lord_howe() -> None:
    schedule = daily("Australia/Lord_Howe", kind=Kind.hourly, starts=datetime(2026, 4, 4, 0))
    shifts = resolve(schedule, at("2026-04-04T13:00"), at("2026-04-04T17:00"))
    assert max(s.end - s.start for s in shifts) == timedelta(minutes=90)
    assert gaps(shifts, at("2026-04-04T13:00"), at("2026-04-04T17:00")) == []


def test_windows_cut_a_turn_and_leave_the_rest_open() -> None:
    window = Window(frozenset(range(5)), time(9), time(17))
    schedule = daily("America/New_York", starts=datetime(2026, 3, 2, 9), windows=(window,))
    start, end = at("2026-03-06T00:00"), at("2026-03-10T00:00")  # over the weekend the clocks change
    shifts = resolve(schedule, start, end)
    assert [(s.start.isoformat()[5:16], s.end.isoformat()[5:16]) for s in shifts] == [
        ("03-06T14:00", "03-06T22:00"),
        ("03-09T13:00", "03-09T21:00"),
    ]
    assert len(gaps(shifts, start, end)) == 3


def test_a_window_over_midnight_belongs_to_the_day_it_starts() -> None:
    window = Window(frozenset({4}), time(22), time(6))  # Friday night
    schedule = daily("UTC", starts=datetime(2026, 1, 1, 0), windows=(window,), people=(ANA,))
    shifts = resolve(schedule, at("2026-01-03T03:00"), at("2026-01-05T00:00"))
    assert [(s.start, s.end) for s in shifts] == [(at("2026-01-03T03:00"), at("2026-01-03T06:00"))]


def test_later_layers_cover_earlier_ones() -> None:
    base = Layer("Base", Kind.weekly, 1, datetime(2026, 1, 5), (ANA,))
    nights = Layer(
        "Nights", Kind.weekly, 1, datetime(2026, 1, 5), (BEA,), (Window(start=time(20), end=time(8)),)
    )
    shifts = resolve(Schedule("soc", "UTC", (base, nights)), at("2026-01-06T00:00"), at("2026-01-07T00:00"))
    assert [(s.layer, s.start.hour) for s in shifts] == [("Nights", 0), ("Base", 8), ("Nights", 20)]


def test_overrides_replace_everybody_or_one_person() -> None:
    everyone = Override(at("2026-03-28T10:00"), at("2026-03-28T12:00"), CAI, reason="swap")
    only_bea = Override(at("2026-03-28T00:00"), at("2026-03-29T00:00"), CAI, instead_of=BEA)
    plain = daily()
    start, end = at("2026-03-28T00:00"), at("2026-03-29T00:00")
    first = resolve(Schedule("soc", plain.zone, plain.layers, (everyone,)), start, end)
    assert [(s.user_id, s.start.hour) for s in first] == [(ANA, 0), (BEA, 8), (CAI, 10), (BEA, 12)]
    assert first[2].why == "override: swap"
    second = resolve(Schedule("soc", plain.zone, plain.layers, (only_bea,)), start, end)
    assert [s.user_id for s in second] == [ANA, CAI]


def test_before_the_first_hand_off_and_after_the_end_nobody_is_on_call() -> None:
    schedule = daily(until=datetime(2026, 4, 1, 9))
    assert on_call(schedule, at("2026-03-27T07:59")) is None
    assert on_call(schedule, at("2026-03-27T08:00")).user_id == ANA  # type: ignore[union-attr]  # somebody is
    assert on_call(schedule, at("2026-04-01T07:00")) is None
    assert on_call(daily(people=()), at("2026-03-28T10:00")) is None


def test_a_typed_time_must_exist_once() -> None:
    assert typed(datetime(2026, 7, 1, 9), "Europe/Madrid") == at("2026-07-01T07:00")
    with pytest.raises(UnclearTime, match="does not exist"):
        typed(datetime(2026, 3, 29, 2, 30), "Europe/Madrid")
    with pytest.raises(UnclearTime, match="twice"):
        typed(datetime(2026, 10, 25, 2, 30), "Europe/Madrid")


walls = st.datetimes(datetime(2010, 1, 1), datetime(2030, 1, 1)).map(
    lambda d: d.replace(second=0, microsecond=0)
)
near_changes = st.sampled_from(
    [
        datetime(2011, 12, 30),
        datetime(2026, 3, 29),
        datetime(2026, 10, 25),
        datetime(2026, 3, 8),
        datetime(2026, 4, 5),
    ]
).flatmap(lambda day: st.integers(-60, 60).map(lambda h: day + timedelta(minutes=30 * h)))


@given(st.sampled_from(ZONES), near_changes | walls, near_changes | walls)
def test_boundaries_never_run_backwards(zone: str, one: datetime, other: datetime) -> None:
    first, second = sorted((one, other))
    assert boundary(first, zone) <= boundary(second, zone)
    assert wall_time(boundary(first, zone), zone) >= first


@settings(max_examples=150)
@given(
    zone=st.sampled_from(ZONES),
    kind=st.sampled_from(Kind),
    every=st.integers(1, 36),
    starts=near_changes | walls,
    people=st.lists(st.sampled_from([ANA, BEA, CAI]), min_size=1, max_size=4),
    after=st.integers(0, 400),
    length=st.integers(1, 24 * 12),
)
def test_a_full_rotation_has_no_gap_and_no_overlap(
    zone: str, kind: Kind, every: int, starts: datetime, people: list[UUID], after: int, length: int
) -> None:
    schedule = Schedule("s", zone, (Layer("Base", kind, every, starts, tuple(people)),))
    start = boundary(starts, zone) + timedelta(hours=after)
    end = start + timedelta(hours=length)
    shifts = resolve(schedule, start, end)
    assert shifts[0].start == start
    assert shifts[-1].end == end
    assert all(one.end == other.start for one, other in itertools.pairwise(shifts))
    assert all(shift.start < shift.end for shift in shifts)
    middle = start + (end - start) / 2
    found = on_call(schedule, middle)
    assert found is not None
    assert [s.user_id for s in shifts if s.start <= middle < s.end] == [found.user_id]


@settings(max_examples=60)
@given(
    zone=st.sampled_from(ZONES),
    starts=near_changes,
    overrides=st.lists(
        st.tuples(st.integers(0, 90), st.integers(1, 40), st.sampled_from([None, ANA, BEA])), max_size=4
    ),
)
def test_windows_layers_and_overrides_never_overlap(
    zone: str, starts: datetime, overrides: list[tuple[int, int, UUID | None]]
) -> None:
    origin = boundary(starts, zone)
    night = Layer("Night", Kind.daily, 1, starts, (BEA, CAI), (Window(start=time(20), end=time(2, 30)),))
    schedule = Schedule(
        "s",
        zone,
        (Layer("Base", Kind.hourly, 6, starts, (ANA, BEA)), night),
        tuple(
            Override(
                origin + timedelta(hours=first), origin + timedelta(hours=first + hours), CAI, instead_of
            )
            for first, hours, instead_of in overrides
        ),
    )
    end = origin + timedelta(days=5)
    shifts = resolve(schedule, origin, end)
    assert gaps(shifts, origin, end) == []
    assert all(one.end <= other.start for one, other in itertools.pairwise(shifts))
