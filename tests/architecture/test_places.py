"""A value that is taken out of an incident's record is looked for in every table that holds something of an incident."""

from cli import assemble
from core import places
from core.db import Base

# What holds of an incident only ids, times, numbers and words of ours.
NOTHING_OF_PEOPLE = {
    "sightings", "watches",
}  # fmt: skip
_TIES = {"incident_id", "subject_id"}


def untold(tables: dict[str, set[str]], known: set[str]) -> list[str]:
    """The tables (with their columns) that are tied to an incident and in which nothing would be looked for."""
    return sorted(name for name, columns in tables.items() if columns & _TIES and name not in known)


def test_every_table_about_an_incident_is_a_place() -> None:
    assemble.load()
    tables = {table.name: {column.name for column in table.columns} for table in Base.metadata.sorted_tables}
    known = {str(place.model.__tablename__) for place in places.declared()} | NOTHING_OF_PEOPLE
    missing = untold(tables, known)
    assert not missing, f"declare a Place for {', '.join(missing)} (core/places.py), or say that it holds nothing people wrote"
    assert not NOTHING_OF_PEOPLE - set(tables)


def test_a_table_that_nobody_declared_is_found() -> None:
    assert untold({"gossip": {"id", "incident_id", "text"}, "rules": {"id"}}, {"notes"}) == ["gossip"]
