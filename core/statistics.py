"""Let PostgreSQL look at tables that have outgrown what it knows of them, so that a first storm is not planned blindly."""

from sqlalchemy import text

from core.db import Base, UnitOfWork, is_postgres

_OUTGROWN = text("""
    SELECT sizes.relname FROM pg_stat_user_tables sizes JOIN pg_class known ON known.oid = sizes.relid
    WHERE sizes.schemaname = current_schema() AND sizes.n_live_tup > 1000 AND sizes.n_live_tup > 10 * known.reltuples
    ORDER BY sizes.n_live_tup DESC
""")


def refresh(uow: UnitOfWork) -> int:
    """Analyse the largest table that holds ten times as many rows as when it was last looked at; returns 1, or 0 if none.

    Autovacuum comes by once a minute; until then every query of a new table that fills in seconds is planned as if it
    were empty. SQLite plans without such knowledge.
    """
    if not is_postgres(uow):
        return 0
    ours = (name for name in uow.scalars(_OUTGROWN) if name in Base.metadata.tables)
    name = next(ours, None)
    if name is not None:
        uow.connection().exec_driver_sql(f'ANALYZE (SKIP_LOCKED) "{name}"')
    return int(name is not None)
