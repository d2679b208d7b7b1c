"""A process that starts before its database waits for it, and says what is wrong when it never comes."""

import threading
from datetime import timedelta
from pathlib import Path

import pytest
from free_ports import free_port
from tables_ready import Database

from cli import waiting
from core import db
from core.errors import Unavailable
from core.settings import Settings


def away(folder: Path) -> Settings:
    address = f"postgresql://postgres@127.0.0.1:{free_port()}/nowhere"
    return Settings(data_dir=folder, database_url=address, secret_key=b"unused" * 8)


def test_it_goes_on_as_soon_as_the_database_is_there(
    postgresql_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_EVERY", 0.05)
    db.configure(away(tmp_path))
    comes = threading.Timer(0.3, lambda: db.configure(postgresql_database.settings))
    comes.start()
    waiting.for_database(timedelta(seconds=30))
    comes.join()


def test_one_that_stays_away_is_named(postgresql_database: Database, tmp_path: Path) -> None:
    db.configure(away(tmp_path))
    with pytest.raises(Unavailable, match=r"cannot be reached: .*refused.* correct TOCSIN_DATABASE_URL"):
        waiting.for_database(timedelta(0))
    db.configure(postgresql_database.settings)
