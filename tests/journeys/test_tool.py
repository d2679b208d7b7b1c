"""The tool's journey: a monitoring tool posts what it always sends and is told the truth about it."""

import gzip
import json
import os
from typing import Any

import httpx
import pytest
from free_ports import wait_until
from ringing import Bell, count
from running_tocsin import Tocsin

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


ALERTS = "SELECT count(*) FROM alerts WHERE source = :source"
DELIVERIES = "SELECT count(*) FROM deliveries d JOIN sources s ON s.id = d.source_id WHERE s.name = :source"


@pytest.fixture
def bell(running: Tocsin) -> Bell:
    """A source of this test's own."""
    return Bell(running, f"gate-{os.urandom(4).hex()}")


def test_every_form_a_tool_may_send_is_taken(running: Tocsin, bell: Bell) -> None:
    one = {"id": "a", "title": "One", "severity": "low"}
    many = [{"id": f"m{n}", "title": "Many", "severity": "low"} for n in range(3)]
    lines = "\n".join(json.dumps({"id": f"l{n}", "title": "Line", "severity": "low"}) for n in range(4))
    with running.client(headers=bell.headers) as client:
        answers = [
            client.post(bell.url, json=one),
            client.post(bell.url, json=many),
            client.post(bell.url, content=lines, headers={"Content-Type": "application/x-ndjson"}),
            client.post(
                bell.url,
                content=gzip.compress(json.dumps({**one, "id": "z"}).encode()),
                headers={"Content-Encoding": "gzip", "Content-Type": "application/json"},
            ),
        ]
    assert [answer.status_code for answer in answers] == [202] * 4
    assert len({answer.json()["receipt"] for answer in answers}) == 4
    wait_until(lambda: count(running, ALERTS, source=bell.name) == 1 + 3 + 4 + 1, what="nine alerts")


def test_the_same_delivery_twice_is_one(running: Tocsin, bell: Bell) -> None:
    alert = {"id": "same", "title": "Sent twice", "severity": "low"}
    with running.client(headers=bell.headers) as client:
        first, second = (client.post(bell.url, json=alert).json() for _ in range(2))
    assert first["receipt"] == second["receipt"]
    assert (first["status"], second["status"]) == ("accepted", "duplicate")
    wait_until(lambda: count(running, ALERTS, source=bell.name) == 1, what="the alert")
    assert count(running, DELIVERIES, source=bell.name) == 1
    running.stop()
    running.start()
    with running.client(headers=bell.headers) as client:
        assert client.post(bell.url, json=alert).json()["receipt"] == first["receipt"]


@pytest.mark.parametrize(
    ("path", "headers", "body", "status"),
    [
        ("/ingest/nobody", {}, b"{}", 404),
        ("HERE", {"Authorization": "Bearer wrong"}, b"{}", 401),
        ("HERE", {"Authorization": ""}, b"{}", 401),
        ("HERE", {}, b"x" * (1024 * 1024 + 1), 413),
        ("HERE", {}, b"", 422),
        ("/v2/enqueue", {}, b'{"routing_key": "nope", "event_action": "trigger"}', 400),
    ],
)
def test_what_cannot_be_taken_is_said_clearly(
    running: Tocsin, bell: Bell, path: str, headers: dict[str, str], body: bytes, status: int
) -> None:
    with running.client() as client:
        answer = client.post(
            path.replace("HERE", bell.url), content=body, headers={**bell.headers, **headers}
        )
        assert answer.status_code == status, answer.text
        if path != "/v2/enqueue":
            assert answer.headers["Content-Type"].startswith("application/problem+json")
            problem = answer.json()
            assert problem["status"] == status
            assert len(problem["detail"]) > 15
        assert client.get("/healthz").status_code == 200


def test_what_cannot_be_read_is_kept_shown_and_counts_as_an_alert(running: Tocsin, bell: Bell) -> None:
    with running.client(headers=bell.headers) as client:
        answer = client.post(bell.url, content=b"{not json", headers={"Content-Type": "application/json"})
    assert answer.status_code == 202
    assert answer.json()["status"] == "quarantined"
    quarantined = f"{DELIVERIES} AND d.state = 'quarantined'"
    wait_until(lambda: count(running, quarantined, source=bell.name) == 1, what="the quarantine")
    wait_until(lambda: count(running, ALERTS, source=bell.name) == 1, what="the generic alert")


def test_a_pagerduty_button_rings_here(running: Tocsin) -> None:
    key = running.json("source", "add", "pager", "--no-learning", "--connector", "pagerduty_v2")["token"]

    def event(action: str) -> httpx.Response:
        body: dict[str, Any] = {"routing_key": key, "event_action": action, "dedup_key": "disk"}
        if action == "trigger":
            body["payload"] = {"summary": "Disk full", "source": "db-1", "severity": "critical"}
        return httpx.post(f"{running.url}/v2/enqueue", json=body, trust_env=False)

    for action in ("trigger", "acknowledge", "resolve"):
        answer = event(action)
        assert answer.status_code == 202, answer.text
        assert answer.json()["status"] == "success"
        assert answer.json()["dedup_key"] == "disk"
    resolved = "SELECT count(*) FROM alerts WHERE ended_at IS NOT NULL AND title = 'Disk full'"
    wait_until(lambda: count(running, resolved) == 1, what="the alert to end")
    assert count(running, ALERTS, source="pager") == 1


def test_okta_is_told_that_the_address_is_ours(running: Tocsin) -> None:
    secret = running.json("source", "add", "identity", "--no-learning", "--connector", "okta")["token"]
    with running.client(headers={"X-Okta-Verification-Challenge": "c6f3"}) as client:
        proven = client.get("/ingest/identity", headers={"Authorization": f"Bearer {secret}"})
        assert (proven.status_code, proven.json()) == (200, {"verification": "c6f3"})
        assert client.get("/ingest/identity").status_code == 401


def test_two_secrets_live_while_one_is_being_rotated(running: Tocsin, bell: Bell) -> None:
    newer = running.json("source", "rotate", bell.name)["token"]
    with running.client() as client:
        assert bell.ring(client).status_code == 202
        wait_until(
            lambda: (
                client.post(
                    bell.url,
                    json={"id": "n", "title": "t", "severity": "low"},
                    headers={"Authorization": f"Bearer {newer}"},
                ).status_code
                == 202
            ),
            what="the new secret",
        )
        running.run("source", "rotate", bell.name, "--finish")
        wait_until(lambda: bell.ring(client).status_code == 401, what="the old secret to end")
