"""Reads the journal from the database in large chunks, as a proof or an export takes it: one moment, raw columns."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from core.db import is_postgres
from core.journal import JournalCheckpoint, JournalEntry, JournalLeaf, JournalPending
from core.proving import MOST_TOLD, Row, Stamp

CHUNK = 4000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HEX = {"sqlite": "{}", "postgresql": "encode(uuid_send({}), 'hex')"}  # an id as 32 hex digits
_COLUMNS = "j.body, d.salt, d.data, j.at, j.actor_kind, j.actor_id, j.verb, j.data_digest"


class JournalRows:
    """The journal as it is at one moment; open it in `one_moment()`."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.postgres = is_postgres(session)
        if self.postgres:
            # Chunks by index, whatever the planner believes of a table that has just been filled.
            session.execute(text("SET LOCAL enable_hashjoin = off"))
            session.execute(text("SET LOCAL enable_mergejoin = off"))
            session.execute(text("SET LOCAL enable_seqscan = off"))
        self._hex = _HEX["postgresql" if self.postgres else "sqlite"].format
        highest = session.scalar(select(func.max(JournalLeaf.idx)))
        self.size: int = 0 if highest is None else highest + 1
        self.pending: int = session.scalar(select(func.count()).select_from(JournalPending)) or 0

    def instants(self, column: Sequence[Any]) -> list[datetime]:
        """The raw column `at` as instants."""
        return list(column) if self.postgres else [_EPOCH + timedelta(0, 0, micros) for micros in column]

    def hashes(self) -> Iterator[list[Row]]:
        """Every leaf's index and hash alone, in order."""
        for start in range(0, self.size, CHUNK):
            yield self._rows(
                "SELECT idx, NULL, hash FROM journal_leaves "  # noqa: S608 - numbers
                f"WHERE idx >= {start} AND idx < {start + CHUNK} ORDER BY idx"
            )

    def leaves(self, first: int = 0, end: int | None = None) -> Iterator[list[Row]]:
        """Every leaf (from `first` until before `end`) with its entry, in order, a few thousand at a time."""
        stop = self.size if end is None else end
        query = (
            f"SELECT l.idx, {self._hex('l.entry')}, l.hash, {_COLUMNS} FROM journal_leaves l "  # noqa: S608 - constants
            "LEFT JOIN journal j ON j.id = l.entry LEFT JOIN journal_data d ON d.entry = l.entry "
            "WHERE l.idx >= {} AND l.idx < {} ORDER BY l.idx"
        )
        for start in range(first, stop, CHUNK):
            yield self._rows(query.format(start, min(start + CHUNK, stop)))

    def waiting(self) -> Iterator[list[Row]]:
        """The entries that are not sealed yet, as leaves without a place and a hash."""
        query = (
            f"SELECT NULL, {self._hex('p.entry')}, NULL, {_COLUMNS} FROM journal_pending p "  # noqa: S608 - constants
            "LEFT JOIN journal j ON j.id = p.entry LEFT JOIN journal_data d ON d.entry = p.entry"
        )
        yield self._rows(query)

    def stamps(self) -> Iterator[Stamp]:
        """Every checkpoint, by size."""
        found = select(JournalCheckpoint.size, JournalCheckpoint.public_key, JournalCheckpoint.note)
        for row in self._session.execute(
            found.order_by(JournalCheckpoint.size).execution_options(yield_per=1000)
        ):
            yield Stamp(*row)

    def refs(self) -> Iterator[Sequence[tuple[str]]]:
        """Every row of journal_refs as "entry kind id", in any order."""
        with closing(self._cursor("refs")) as cursor:
            cursor.execute(f"SELECT {self._hex('entry')} || ' ' || kind || ' ' || ref_id FROM journal_refs")  # noqa: S608 - constants
            while rows := cursor.fetchmany(CHUNK):
                yield rows

    def never_sealed(self, present: int) -> list[str]:
        """Entries that are neither sealed nor waiting for it, if the journal has others than the `present` that are."""
        if self._session.scalar(select(func.count()).select_from(JournalEntry)) == present:
            return []
        sealed = select(JournalLeaf.entry).where(JournalLeaf.entry == JournalEntry.id).exists()
        waiting = select(JournalPending.entry).where(JournalPending.entry == JournalEntry.id).exists()
        strays = select(JournalEntry.id).where(~sealed, ~waiting).limit(MOST_TOLD)
        return [key.hex for key in self._session.scalars(strays)]

    def _rows(self, query: str) -> list[Row]:
        with closing(self._cursor()) as cursor:
            cursor.execute(query)
            rows: list[Row] = cursor.fetchall()
        return rows

    def _cursor(self, name: str | None = None) -> Any:
        connection = self._session.connection().connection.driver_connection
        assert connection is not None
        if not self.postgres:
            return connection.cursor()
        return connection.cursor(name, binary=True) if name else connection.cursor(binary=True)
