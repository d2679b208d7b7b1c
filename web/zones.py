"""The time zones a person may choose from."""

from functools import cache
from zoneinfo import available_timezones


@cache
def zone_names() -> list[str]:
    """Region/City names of the time zone database, and UTC first."""
    return [
        "UTC",
        *sorted(
            name
            for name in available_timezones()
            if "/" in name and not name.startswith(("Etc/", "SystemV/"))
        ),
    ]
