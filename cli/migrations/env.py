"""Alembic's entry: migrates on the connection that cli.migrate hands over."""

from alembic import context

from cli import assemble
from core.db import Base

assemble.load()
connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    compare_type=False,
    transaction_per_migration=False,
)
context.run_migrations()
