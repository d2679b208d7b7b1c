"""The migrations make exactly the tables that the models declare, on both databases, and leave the journal guarded."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from tables_ready import Database

from cli import assemble, migrate
from core import db
from core.errors import Unavailable


def test_models_and_migrations_agree(database: Database) -> None:
    assemble.load()
    with db.engine().connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        assert compare_metadata(context, db.Base.metadata) == []


def test_migrating_again_changes_nothing(database: Database) -> None:
    before = migrate.state()
    assert before[0] == before[1] == migrate.upgrade()
    migrate.require_current()


def test_the_journal_is_guarded_again_after_every_upgrade(database: Database) -> None:
    guard = "DROP TRIGGER journal_no_delete" + (" ON journal" if database.kind == "postgresql" else "")
    with db.engine().begin() as connection:
        connection.execute(text(guard))
    migrate.upgrade()
    insert = text(
        "INSERT INTO journal (id, at, actor_kind, actor_id, verb, body) VALUES (:id, :at, 'system', 'system', 'x', :body)"
    )
    at = "2026-01-01T00:00:00Z" if database.kind == "postgresql" else 0
    key = "00000000-0000-7000-8000-000000000001"
    with db.engine().begin() as connection:
        connection.execute(
            insert,
            {"id": key if database.kind == "postgresql" else key.replace("-", ""), "at": at, "body": b"x"},
        )
    with pytest.raises(DBAPIError, match="append-only"), db.engine().begin() as connection:
        connection.execute(text("DELETE FROM journal"))


def test_a_wrong_schema_is_refused_with_what_to_type(database: Database) -> None:
    with db.engine().begin() as connection:
        connection.execute(text("DELETE FROM alembic_version"))
    with pytest.raises(Unavailable, match="tocsin migrate"):
        migrate.require_current()
