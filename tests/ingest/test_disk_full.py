"""A full disk: senders are turned away, nothing that was acknowledged is lost, and with room again it goes on by itself."""

import pytest
from sqlalchemy import func, select
from tables_ready import Database

from core import db
from core.db import reading
from ingest.models import Delivery


@pytest.fixture
def database(sqlite_database: Database) -> Database:
    """SQLite, whose file can be told to grow no further."""
    return sqlite_database


def _grow_to(pages: int) -> int:
    """Let the database's file grow to so many pages (0: no further); returns how many it has."""
    with db.engine().connect() as connection:
        now = int(connection.exec_driver_sql("PRAGMA page_count").scalar_one())
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages or now}")
    return now


def _stored() -> int:
    with reading() as session:
        return session.scalar(select(func.count()).select_from(Delivery)) or 0


def test_a_full_disk_turns_senders_away_and_room_lets_them_in(door, sender) -> None:
    tool = sender()
    big = "x" * 200_000

    def post(name: str) -> int:
        return door.post(tool.path, json={"title": name, "more": big}, headers=tool.bearer).status_code

    assert post("before") == 202
    _grow_to(0)
    assert [post(f"full {n}") for n in range(3)] == [503, 503, 503]
    assert _stored() == 1
    _grow_to(1_000_000)
    assert post("full 0") == 202
    assert _stored() == 2
