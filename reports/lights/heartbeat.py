"""Whether somebody outside notices when this machine falls silent."""

from datetime import timedelta

from core import heartbeat
from reports.doctor import Finding, Light, Look, State

LATE = timedelta(minutes=10)  # it goes out every minute


def look(at: Look) -> Finding:
    """When `tocsin watch` last told the dead man's switch that all is well."""
    if not at.settings.heartbeat_url:
        return Finding(
            State.yellow, "If this machine dies, nobody outside notices.",
            "Let a dead man's switch elsewhere (healthchecks.io, your monitoring) expect a call every minute.",
            href="/settings/installation#heartbeat", word="Set it up",
        )  # fmt: skip
    last = heartbeat.last(at.settings.data_dir)
    if last is None:
        return Finding(
            State.yellow, "The heartbeat has not gone out yet.",
            "Let `tocsin watch` run with the same data directory; `tocsin serve` starts it by itself.",
        )  # fmt: skip
    said = f"The heartbeat last went out at {last:%Y-%m-%d %H:%M} UTC."
    if at.now - last > LATE:
        return Finding(
            State.red,
            said,
            "See what the watch has found, and whether it runs.",
            command="tocsin watch --once",
        )
    return Finding(State.green, said)


light = Light("heartbeat", "Outside heartbeat", 50, look)
