"""Whether the tools that should ring can still be heard."""

from datetime import timedelta

from sqlalchemy import select

from core.actors import SYSTEM
from ingest import queries
from ingest.models import Source
from reports.doctor import Finding, Light, Look, State

SILENT = timedelta(days=1)
MOST = 1000  # deliveries that are counted


def look(at: Look) -> Finding:
    """When each enabled source last sent something, and what of it could not be read."""
    known = at.session.scalars(select(Source).where(Source.disabled_at.is_(None)).order_by(Source.name)).all()
    if not known:
        return Finding(
            State.yellow, "No tool is connected: nothing can ring.", "Connect one.",
            href="/settings/sources", word="Sources",
        )  # fmt: skip
    silent = [one for one in known if one.last_seen_at is None or at.now - one.last_seen_at > SILENT]
    heard = [one for one in silent if one.last_seen_at is not None]
    names = ", ".join(one.name for one in silent[:5]) + (" …" if len(silent) > 5 else "")
    if len(silent) == len(known) and heard:
        return Finding(
            State.red, f"No source has been heard for a day: {names}.", "See why they are silent.",
            href="/settings/sources", word="Sources",
        )  # fmt: skip
    if silent:
        return Finding(
            State.yellow, f"{len(silent)} of {len(known)} sources are silent: {names}.",
            "See why, or disable those that are no longer used.", href="/settings/sources", word="Sources",
        )  # fmt: skip
    if aside := queries.quarantined(at.session, SYSTEM, most=MOST):
        return Finding(
            State.yellow, f"{len(known)} sources are alive; {aside} deliveries could not be read.",
            "Mend the mapping and have them read again.", href="/quarantine", word="Quarantine",
        )  # fmt: skip
    return Finding(State.green, f"{len(known)} {'source is' if len(known) == 1 else 'sources are'} alive.")


light = Light("sources", "Sources", 70, look)
