"""Incidents over the API: each change needs the version it was made for, and answers with the next one."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from at_the_pages import Reader
from people_here import People

from cli import assemble

pytestmark = pytest.mark.usefixtures("sqlite_database")

assemble.load()


class Client:
    """A program that changes one incident."""

    def __init__(self, people: People) -> None:
        self.reader = Reader(people.ana)
        made = self.send("POST", "", {"title": "Beacon from finance-1", "severity": "high"})
        assert made.status_code in (200, 201), made.text
        self.key, self.tag = made.json()["key"], made.headers["ETag"]

    def send(self, method: str, path: str, body: Any, tag: str | None = None) -> httpx.Response:
        headers = {"X-CSRF-Token": self.reader.csrf, **({"If-Match": tag} if tag else {})}
        return self.reader._send(method, f"/api/v1/incidents{path}", json=body, headers=headers)

    def change(self, path: str, body: Any, method: str = "POST") -> dict[str, Any]:
        """Make a change to the version known; its answer's version is then the one known."""
        answer = self.send(method, f"/{self.key}{path}", body, self.tag)
        assert answer.status_code == 200, f"{path}: {answer.text}"
        assert self.send(method, f"/{self.key}{path}", body, self.tag).status_code == 412, "an old version"
        self.tag = answer.headers["ETag"]
        found: dict[str, Any] = answer.json()
        return found


def test_an_incident_goes_its_way(people: People) -> None:
    client = Client(people)
    assert client.change("", {"title": "Beacon", "reason": "shorter"}, "PATCH")["title"] == "Beacon"
    assert client.change("/assign", {"owner_id": people.ana.id})["owner_id"] == people.ana.id
    assert client.change("/move", {"stage": "investigate"})["stage"] == "investigate"
    assert (
        client.change("/confirm", {"confirmation": "suspected", "because": "seen twice"})["confirmation"]
        == "suspected"
    )
    closed = client.change(
        "/close", {"disposition": "false_positive", "summary": "A test of ours", "root_cause": "A red team"}
    )
    assert closed["stage"] == "closed"
    assert (
        client.change("/reopen", {"reason": "It came back", "stage": "investigate"})["stage"] == "investigate"
    )
    assert client.send("POST", "/INC-1999-000001/move", {"stage": "contain"}).status_code == 404
    assert "moved the incident" in client.reader.get(f"/api/v1/incidents/{client.key}/timeline")


def test_a_value_is_taken_out_and_no_answer_repeats_it(people: People, drain: Callable[..., int]) -> None:
    client, value = Client(people), "hunter2.Example-0815"
    noted = client.send("POST", f"/{client.key}/comments", {"body": f"They typed {value}"})
    assert noted.status_code == 201, noted.text
    refused = client.send("POST", f"/{client.key}/redactions", {"value": f"{value} ", "reason": ""})
    assert (refused.status_code, value in refused.text) == (422, False)
    done = client.send("POST", f"/{client.key}/redactions", {"value": value, "reason": "It is a password"})
    assert (done.status_code, done.json()["change"], value in done.text) == (202, None, False)
    assert "backups, exports and reports made before" in done.json()["not_reached"]
    assert done.json()["files"] == []
    drain()
    notes = client.reader.get(f"/api/v1/incidents/{client.key}/comments")
    assert value not in notes
    assert "hunt…[redacted, SHA-256 " in notes
