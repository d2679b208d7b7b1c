"""A process that was killed while its statement waited in PostgreSQL leaves its locks behind for two seconds, not for thirty."""

import subprocess
import sys
import time
from pathlib import Path

from sqlalchemy import text
from tables_ready import Database

from core import db

ROOT = Path(__file__).resolve().parents[2]
HOLDS_2_AND_WAITS_FOR_1 = """
import sys
from pathlib import Path
from sqlalchemy import text
from core import db
from core.settings import Settings
db.configure(Settings(data_dir=Path("."), database_url=sys.argv[1], secret_key=b"unused" * 8))
with db.engine().connect() as connection:
    connection.execute(text("SELECT pg_advisory_lock(2)"))
    print("waiting", flush=True)
    connection.execute(text("SELECT pg_advisory_lock(1)"))
"""


def test_what_a_killed_process_held_is_free_within_seconds(postgresql_database: Database) -> None:
    with db.engine().connect() as first, db.engine().connect() as second:
        first.execute(text("SELECT pg_advisory_lock(1)"))
        doomed = subprocess.Popen(
            [sys.executable, "-c", HOLDS_2_AND_WAITS_FOR_1, postgresql_database.url], cwd=ROOT,
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert doomed.stdout is not None
            assert doomed.stdout.readline() == "waiting\n"
            waits = text(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = 1"
            )
            while not second.scalar(waits):
                time.sleep(0.02)
        finally:
            doomed.kill()
            doomed.communicate()
        began = time.monotonic()
        second.execute(text("SELECT pg_advisory_lock(2)"))
        assert time.monotonic() - began < 15
