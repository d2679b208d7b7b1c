"""The journal's page says how far it is sealed and who keeps checkpoints, and what to do while nobody does."""


import pytest
from at_the_pages import Reader, text_of
from people_here import People
from tables_ready import Database

from cli import assemble
from core import sealing, settings, witness
from core.db import unit_of_work

assemble.load()


@pytest.fixture
def ana(people: People) -> Reader:
    """The administrator; making her has been recorded."""
    return Reader(people.ana)


def shown(reader: Reader) -> str:
    return text_of(reader.get("/journal"))


def test_without_a_witness_it_says_how_to_add_one(sqlite_database: Database, ana: Reader) -> None:
    assert "Nothing is sealed yet" in shown(ana)
    number = sealing.seal_everything()
    assert number > 0
    page = shown(ana)
    assert f"Sealed up to entry {number}, checkpoint" in page
    assert ". No witness keeps checkpoints" in page
    assert "/settings/installation#witness" in ana.get("/journal")


def test_witnesses_are_named_with_what_they_keep(sqlite_database: Database, ana: Reader) -> None:
    settings.configure(sqlite_database.settings.with_(witness=("mailto:auditor@example.org",)))
    with unit_of_work() as uow:
        witness.seed(uow)
    number = sealing.seal_everything()
    assert "auditor@example.org has kept no checkpoint yet" in shown(ana)
    with unit_of_work() as uow:
        (row,) = uow.query(witness.JournalWitness)
        row.size, row.kept_at, row.error = number, uow.now, "no answer"
    page = shown(ana)
    assert f"Kept also by auditor@example.org, up to entry {number}," in page
    assert "last attempt failed no answer" in page
