"""Waits at the start for a database that is not there yet, as when everything starts at once after a power cut."""

import time
from datetime import timedelta

from sqlalchemy import text

from core import logs
from core.db import reading
from core.errors import Unavailable

log = logs.get(__name__)

PATIENCE = timedelta(seconds=60)
_EVERY = 0.5  # seconds between two looks


def for_database(patience: timedelta | None = None) -> None:
    """Return as soon as the database answers. Raises Unavailable, saying what to look at, when it stays away."""
    end, told = time.monotonic() + (PATIENCE if patience is None else patience).total_seconds(), False
    while True:
        try:
            with reading() as session:
                session.execute(text("SELECT 1"))
        except Unavailable as error:
            reason = str(getattr(error.__cause__, "orig", error.message)).strip().partition("\n")[0]
            if time.monotonic() >= end:
                raise Unavailable(
                    f"The database cannot be reached: {reason}. Start it, or correct TOCSIN_DATABASE_URL."
                ) from error
            if not told:
                log.warning("the database is not there yet; waiting for it", extra={"reason": reason})
                told = True
            time.sleep(_EVERY)
        else:
            return
