"""Turns wall times of a zone into instants, so that boundaries never leave a gap."""

from datetime import UTC, datetime

from whenever import Instant, PlainDateTime, RepeatedTime, SkippedTime, TimeZoneNotFoundError


class UnclearTime(ValueError):
    """A wall time that a person typed and that the zone's clocks skip or show twice."""


def boundary(wall: datetime, zone: str) -> datetime:
    """The first instant (UTC) at which a clock in `zone` shows `wall` or later.

    A repeated wall time is its first occurrence, a skipped one the moment of the jump. The function never
    decreases, so a chain of wall times gives half-open intervals without gap or overlap, even where a zone
    skipped a whole day (Pacific/Apia, 2011-12-30) or jumps by half an hour (Australia/Lord_Howe).
    """
    plain = PlainDateTime(wall)
    zoned = plain.assume_tz(zone, disambiguation="earlier")
    if zoned.to_plain() != plain:  # skipped: "earlier" is read with the offset before the jump
        jump = zoned.next_transition()
        if jump is not None:
            zoned = jump
    return zoned.to_instant().to_stdlib()


def wall_time(at: datetime, zone: str) -> datetime:
    """What a clock in `zone` shows at the aware instant `at`, as a naive datetime."""
    return Instant(at).to_tz(zone).to_plain().to_stdlib()


def typed(wall: datetime, zone: str) -> datetime:
    """The instant (UTC) of a wall time a person entered; raises `UnclearTime` if there is none, or two."""
    try:
        return PlainDateTime(wall).assume_tz(zone, disambiguation="raise").to_instant().to_stdlib()
    except SkippedTime:
        raise UnclearTime(
            f"{wall:%Y-%m-%d %H:%M} does not exist in {zone}: the clocks go forward. Take a later time."
        ) from None
    except RepeatedTime:
        raise UnclearTime(
            f"{wall:%Y-%m-%d %H:%M} happens twice in {zone}: the clocks go back. Take another hour."
        ) from None


def known(zone: str) -> bool:
    """Whether `zone` is a name of the time zone database, such as `Europe/Madrid`."""
    try:
        Instant(datetime(2026, 1, 1, tzinfo=UTC)).to_tz(zone)
    except (TimeZoneNotFoundError, ValueError):
        return False
    return bool(zone)
