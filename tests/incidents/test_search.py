"""The search box finds a key, a value, words, and what is being typed."""

from typing import Any

import pytest

from connectors.contract import Entity
from core.db import reading, unit_of_work
from incident_bench import ANN, draft, low, opened, take
from incidents import comments, indexing, lifecycle, search
from incidents.indexing import words_of


def found(text: str) -> list[str]:
    with reading() as session:
        return [hit.key or hit.title for hit in search.search(session, ANN, text)]


@pytest.fixture
def filled(database: object, clock: Any, drain: Any) -> None:
    case = opened(title="Ransomware on Zürich file server", tags=["lockbit"])
    opened(title="Lost badge")
    take(
        draft(
            title="Beacon to evil.example",
            entities=(
                Entity("host", "fs-zrh-01", "target"), Entity("domain", "evil.example", "target"),
                Entity("file-hash", "a" * 64, "artifact"), Entity("user", "alice", "actor"),
            ),
        ),
        low(title="Failed login", fingerprint=(("a", "1"),), entities=(Entity("user", "alice", "actor"),)),
    )  # fmt: skip
    with unit_of_work() as uow:
        comments.add(uow, ANN, case.id, "We called the **insurer**.")
    drain("core.outbox")
    with unit_of_work() as uow:
        assert indexing.index_alerts(uow) == 2
    with unit_of_work() as uow:
        assert indexing.index_alerts(uow) == 0


def test_the_search_box(filled: None) -> None:
    assert found("INC-2026-000002") == ["INC-2026-000002"]
    assert found(" inc-2026-1 ")[0] == "INC-2026-000001"
    assert found("a" * 64) == ["INC-2026-000003", "Beacon to evil.example"]
    assert found("evil[.]example") == ["INC-2026-000003", "Beacon to evil.example"]
    assert found("FS-ZRH-01")[0] == "INC-2026-000003"
    assert found("alice") == ["INC-2026-000003", "Failed login", "Beacon to evil.example"]
    assert found("ransomware zurich") == ["INC-2026-000001"]
    assert found("ransom") == ["INC-2026-000001"]
    assert found("server ransom") == ["INC-2026-000001"]
    assert found("lockbit") == found("insurer") == ["INC-2026-000001"]
    assert found("ransomware badge") == found("nothing like it") == found("") == found("   ") == []


def test_changed_words_replace_the_old_ones(filled: None, drain: Any) -> None:
    with reading() as session:
        (hit,) = search.search(session, ANN, "badge")
    with unit_of_work() as uow:
        lifecycle.change(uow, ANN, hit.id, {"title": "Found wallet"})
    drain("core.outbox")
    assert found("badge") == []
    assert found("wallet") == ["INC-2026-000002"]


def test_words_are_folded_and_bounded() -> None:
    assert words_of("Zürich’s FILE-server, évil.example!") == [
        "zurich",
        "s",
        "file-server",
        "file",
        "server",
        "evil.example",
        "evil",
        "example",
    ]
    assert max(len(word) for word in words_of("x" * 500)) == 64
    assert len(words_of(" ".join(str(number) for number in range(5000)))) == 400
