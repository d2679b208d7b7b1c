"""Targets are read by all, set by managers, and said back as they were typed."""

import pytest
from at_the_pages import Reader
from people_here import People

from cli import assemble

pytestmark = pytest.mark.usefixtures("sqlite_database")

assemble.load()


def test_targets_are_typed_and_come_back(people: People) -> None:
    mara, rita = Reader(people.mara), Reader(people.rita)
    assert "readonly" in rita.get("/settings/targets")
    rita.post("/settings/targets", 403, **{"high-contain": "4h"})
    mara.post("/settings/targets", **{"critical-acknowledge": "15 min", "high-contain": "1d 12h"})
    page = mara.get("/settings/targets")
    assert 'name="critical-acknowledge" value="15m"' in page
    assert 'name="high-contain" value="1d12h"' in page
    wrong = mara.post("/settings/targets", 422, **{"high-contain": "soon", "low-close": "30s"}).text
    assert "“soon” is no target" in wrong
    assert "“30s” is no target" in wrong
    assert 'value="soon"' in wrong
    assert rita.fetch("/api/v1/targets").json() == {
        "items": [
            {"severity": "critical", "span": "acknowledge", "seconds": 900},
            {"severity": "high", "span": "contain", "seconds": 129_600},
        ],
        "next": None,
    }
    headers = {"X-CSRF-Token": mara.csrf}
    items = [{"severity": "high", "span": "contain"}, {"severity": "low", "span": "close", "seconds": 600}]
    put = mara._send("PUT", "/api/v1/targets", json={"items": items}, headers=headers)
    assert [(one["severity"], one["seconds"]) for one in put.json()["items"]] == [
        ("critical", 900),
        ("low", 600),
    ]
    bad = {"items": [{"severity": "odd", "span": "close", "seconds": 600}]}
    assert mara._send("PUT", "/api/v1/targets", json=bad, headers=headers).status_code == 422
