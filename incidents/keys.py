"""Incident keys such as INC-2026-000042: written, read and counted by year."""

import re

from sqlalchemy.dialects import postgresql, sqlite

from core.db import UnitOfWork, is_postgres
from incidents.models import IncidentCounter

PREFIX = "INC"
_KEY = re.compile(r"^\s*(?:INC[- ]?)?(\d{4})[- ](\d{1,9})\s*$", re.IGNORECASE)


def written(year: int, number: int) -> str:
    """The key of a number in a year: INC-2026-000042."""
    return f"{PREFIX}-{year:04d}-{number:06d}"


def read(text: str) -> str | None:
    """The key somebody meant by "inc-2026-42" or "2026-000042", or None if the text is not a key."""
    found = _KEY.match(text)
    return written(int(found[1]), int(found[2])) if found else None


def take(uow: UnitOfWork, count: int = 1) -> list[str]:
    """The next keys of this year, in order; the counter stays locked until the unit of work ends."""
    insert = postgresql.insert if is_postgres(uow) else sqlite.insert
    year = uow.now.year
    statement = insert(IncidentCounter).values(year=year, last=count)
    statement = statement.on_conflict_do_update(
        index_elements=["year"], set_={"last": IncidentCounter.last + statement.excluded.last}
    )
    last = uow.execute(statement.returning(IncidentCounter.last)).scalar_one()
    return [written(year, number) for number in range(last - count + 1, last + 1)]
