"""Comments: added by those who may, edited by their author, both told."""

from typing import Any

import pytest

from core import journal
from core.db import reading, unit_of_work
from core.errors import Forbidden, Invalid
from incident_bench import ANN, BOB, READER, opened
from incidents import comments


def test_commenting_and_editing(database: object, clock: Any) -> None:
    case = opened()
    with unit_of_work() as uow:
        first = comments.add(uow, ANN, case.id, "Called **them**.")
    clock.advance(minutes=1)
    with unit_of_work() as uow:
        comments.edit(uow, ANN, first.id, "Called them twice.")
        comments.add(uow, BOB, case.id, "Thanks.")
    with reading() as session:
        found = comments.of_incident(session, READER, case.id)
        told = journal.entries(session, ref=case.ref, verbs=["comment.added", "comment.edited"])
    assert [(c.author_name, c.body, c.edited_at is not None) for c in found] == [
        ("Ann", "Called them twice.", True), ("Bob", "Thanks.", False),
    ]  # fmt: skip
    assert [entry.data for entry in told][::-1] == [
        {"body": "Called **them**."},
        {"body": "Called them twice."},
        {"body": "Thanks."},
    ]


def test_what_is_refused(sqlite_database: object) -> None:
    case = opened()
    with unit_of_work() as uow:
        mine = comments.add(uow, ANN, case.id, "x")
        for text in (" ", "x" * 100_001):
            with pytest.raises(Invalid):
                comments.add(uow, ANN, case.id, text)
        with pytest.raises(Forbidden, match="Only its author"):
            comments.edit(uow, BOB, mine.id, "y")
        with pytest.raises(Forbidden):
            comments.add(uow, READER, case.id, "y")
