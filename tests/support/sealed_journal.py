"""A sealed journal for tests, how it is proved, and what somebody with all rights on the database may do to it."""

from collections.abc import Mapping

from sqlalchemy import text
from tables_ready import Database

from core import auditing, checkpoints, db, sealing
from core.actors import SYSTEM
from core.checkpoints import Checkpoint
from core.db import reading, unit_of_work
from core.journal import REFUSED, Fact, declare, record
from core.proving import Proof
from core.types import Ref

DONE = declare("test.done", "did it")


def sealed(number: int, *, upto: int = 4) -> None:
    """So many entries, with a checkpoint after every `upto`."""
    for start in range(0, number, upto):
        with unit_of_work() as uow:
            for n in range(start, min(start + upto, number)):
                refs = (Ref("incident", str(n)), Ref("alert", "a"))
                record(uow, SYSTEM, Fact(DONE, refs, {"n": n}, {"note": f"ü{n}"} if n % 2 else None))
        sealing.seal_everything()


def proved(*given: Checkpoint) -> Proof:
    """The database's proof, by this process alone."""
    return auditing.prove_database(given=given, workers=1)


def kinds(proof: Proof) -> set[str]:
    """What was found, in a word each."""
    return {problem.kind for problem in proof.problems}


def attack(database: Database, *statements: str, **values: object) -> None:
    """What somebody with all rights on the database would do: drop the guards, change, put them back."""
    with db.engine().begin() as connection:
        for table, operations in REFUSED.items():
            for operation in operations:
                on = f" ON {table}" if database.kind == "postgresql" else ""
                connection.execute(text(f"DROP TRIGGER {table}_no_{operation.lower()}{on}"))
        for statement in statements:
            connection.execute(text(statement), values)


def attack_each(database: Database, statements: list[str], values: Mapping[str, object]) -> None:
    """As `attack`, giving each statement the values it names."""
    attack(database)
    with db.engine().begin() as connection:
        for statement in statements:
            mine = {key: value for key, value in values.items() if f":{key}" in statement}
            connection.execute(text(statement), mine)


def entry_at(idx: int) -> str:
    """The raw id of the entry with this leaf, as the database compares it."""
    with reading() as session:
        return str(session.scalar(text("SELECT entry FROM journal_leaves WHERE idx = :idx"), {"idx": idx}))


def newest() -> Checkpoint:
    """The newest stored checkpoint."""
    with reading() as session:
        last = sealing.latest(session)
    assert last is not None
    return checkpoints.read(last.note)
