"""What PostgreSQL knows of its tables: looked at anew when they have grown beyond it, and only then."""

from sqlalchemy import text
from tables_ready import Database

from core import statistics
from core.db import reading, unit_of_work
from core.ids import new_id

_ANALYSED = text("SELECT reltuples FROM pg_class WHERE relname = 'users'")


def users(number: int) -> None:
    """So many more rows in a table, told to the statistics at once."""
    with unit_of_work() as uow:
        rows = [{"id": new_id(), "at": uow.now, "email": f"{new_id()}@example.org"} for _ in range(number)]
        uow.execute(
            text(
                "INSERT INTO users (id, created_at, empowered_at, version, email, name, roles, locale, timezone)"
                " VALUES (:id, :at, :at, 1, :email, 'X', '[]', 'en', 'UTC')"
            ),
            rows,
        )
        uow.execute(text("SELECT pg_stat_force_next_flush()"))


def refreshed() -> int:
    with unit_of_work() as uow:
        return statistics.refresh(uow)


def test_a_table_that_has_outgrown_what_is_known_is_analysed_once(postgresql_database: Database) -> None:
    users(500)
    assert refreshed() == 0
    users(1500)
    assert refreshed() == 1
    with reading() as session:
        assert session.scalar(_ANALYSED) == 2000
    users(500)
    assert refreshed() == 0, "what is known is near enough"


def test_sqlite_needs_none(sqlite_database: Database) -> None:
    assert refreshed() == 0
