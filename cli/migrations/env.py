"""Alembic's entry: migrates on the connection that cli.migrate hands over."""

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext

from cli import assemble
from core.db import Base
from core.types import Instant, Json

assemble.load()
connection = context.config.attributes["connection"]


def rendered(kind: str, item: Any, autogen_context: AutogenContext) -> str | Literal[False]:
    """How our column types are written into a migration: by name, so that each database gets its own."""
    if kind != "type" or not isinstance(item, (Instant, type(Json))):
        return False
    autogen_context.imports.add("from core.types import Instant, Json")
    return "Instant()" if isinstance(item, Instant) else "Json"


context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    render_item=rendered,
    compare_type=False,
    transaction_per_migration=False,
)
context.run_migrations()
