"""What an operator sees from outside: one id in every process's log lines and spans, figures that all processes share."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from accounts import ADMIN, PASSWORD
from browsing import Browser
from free_ports import wait_until
from mail_server import MailServer
from prometheus_client.parser import text_string_to_metric_families
from real_servers import Redis
from ringing import Bell
from running_tocsin import Tocsin
from trace_collector import Collector
from vendor_server import Vendor

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

PLAYBOOKS = """
version: 1
playbooks:
  contain:
    name: Contain a host
    mode: act
    triggers: [{on: incident.opened, when: 'incident.severity == "critical"'}]
    steps:
      - {id: isolate, action: http.request, with: {method: POST, path: "/isolate"}}
      - {id: ring, page: {policy: default, message: "{{ incident.title }}"}}
"""


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector of traces."""
    server = Collector()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def scaled(
    tocsin: Callable[..., Tocsin], new_postgres: Callable[[], str], redis_server: Redis, smtp_server: MailServer,
    vendor: Vendor, collector: Collector, tmp_path: Path,
) -> Tocsin:  # fmt: skip
    """web, worker and beat; Ana is on call by mail, and a product can be called."""
    playbooks = tmp_path / "observed.yaml"
    playbooks.write_text(PLAYBOOKS, encoding="utf-8")
    installation = tocsin(
        TOCSIN_DATABASE_URL=new_postgres(), TOCSIN_REDIS_URL=redis_server.url, TOCSIN_SMTP_URL=smtp_server.url,
        TOCSIN_SECRET_KEY="thirty-two characters at the very least", TOCSIN_PLAYBOOKS=str(playbooks),
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_BSP_SCHEDULE_DELAY="200",
    )  # fmt: skip
    installation.run("init", "--email", ADMIN, "--name", "Ana", "--password", PASSWORD)
    installation.start("web", "worker", "beat")
    ana = Browser(installation)
    ana.sign_in(ADMIN, PASSWORD)
    ana.submit(ana.open("/profile"), "/profile/contacts$", channel="email", address__to=ADMIN)
    ana.submit(
        ana.open("/connectors/http"), r"/connectors/http/instances$", name="edge", setting__base_url=vendor.url, private="1"
    )  # fmt: skip
    return installation


def _lines(installation: Tocsin) -> list[dict[str, Any]]:
    text = installation.log.read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def _figures(installation: Tocsin) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    with installation.client() as client:
        families = text_string_to_metric_families(client.get("/metrics").text)
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in families
            for sample in family.samples
        }


def test_one_id_leads_from_the_webhook_to_the_page(
    scaled: Tocsin, smtp_server: MailServer, collector: Collector
) -> None:
    bell = Bell(scaled)
    with scaled.client() as client:
        answer = bell.ring(client, title="Beacon", severity="critical", host="web01")
        assert bell.ring(client, title="Nothing much").status_code == 202
        assert client.post(bell.url, json={}, headers={"Authorization": "Bearer wrong"}).status_code == 401
    receipt = answer.json()["receipt"]
    smtp_server.wait_for(1, seconds=60)

    wanted = {
        "accepted", "read", "incident.opened", "run.started", "action.intended",
        "action.attempted", "action.finished", "page.started", "page.attempted", "page.delivered", "run.ended",
    }  # fmt: skip

    def said() -> set[str]:
        """The first word of each line that names it: several receipts may share a line at the door."""
        return {line["message"].partition(" ")[0] for line in _lines(scaled) if receipt in json.dumps(line)}

    try:
        wait_until(lambda: wanted <= said(), what="the log lines")
    except AssertionError:
        others = {(line["message"], line.get("correlation")) for line in _lines(scaled)}
        raise AssertionError(f"no line says {wanted - said()} of {receipt}; there are {others}") from None
    assert {line["correlation"] for line in _lines(scaled) if line["message"] == "incident.opened"} == {
        receipt
    }
    opened = next(line for line in _lines(scaled) if line["message"] == "incident.opened")
    for line in _lines(scaled):
        if line["message"] in ("run.started", "action.finished", "page.delivered"):
            assert line["incident"] == opened["incident"]
        assert "Beacon" not in json.dumps(line), f"content in the log: {line}"

    names = {"accept", "process", "open", "run", "step", "call", "page"}
    spans = collector.wait_for(lambda all_: names <= {span.name for span in all_ if span.trace == receipt})
    ours = [span for span in spans if span.trace == receipt]
    (first,) = [span for span in ours if span.name == "accept"]
    assert first.parent == b""
    assert {span.role for span in ours} == {"web", "worker"}
    known = {span.id for span in ours}
    assert all(span.parent in known for span in ours if span is not first), (
        "every span hangs below another of its trace"
    )
    (call,) = [span for span in ours if span.name == "call"]
    assert call.attributes["tocsin.action"] == "http.request"
    assert call.attributes["tocsin.outcome"] == "done"
    _count(scaled)
    assert scaled.stop() < 15


def _count(installation: Tocsin) -> None:
    """What the worker did is told by the web process."""
    expected = {
        ("tocsin_accepts_total", (("result", "accepted"),)): 2,
        ("tocsin_accepts_total", (("result", "unproven"),)): 1,
        ("tocsin_alerts_total", (("outcome", "new"),)): 2,
        ("tocsin_calls_total", (("outcome", "succeeded"), ("product", "http"))): 1,
        ("tocsin_call_seconds_count", (("outcome", "done"), ("product", "http"))): 1,
        ("tocsin_page_attempts_total", (("channel", "email"), ("outcome", "sent"))): 1,
        ("tocsin_page_handed_over_seconds_count", ()): 1,
        ("tocsin_runs_total", (("playbook", "contain"), ("state", "succeeded"))): 1,
        ("tocsin_facts_total", (("verb", "incident.opened"),)): 1,
        ("tocsin_processes", (("role", "web"),)): 1,
        ("tocsin_processes", (("role", "worker"),)): 1,
        ("tocsin_processes", (("role", "beat"),)): 1,
        ("tocsin_incidents_open", (("severity", "critical"),)): 1,
        ("tocsin_deliveries_quarantined", ()): 0,
    }

    def told() -> dict[Any, float | None]:
        figures = _figures(installation)
        return {key: figures.get(key) for key in expected}

    wait_until(lambda: told() == expected, what="the figures")
    handed = _figures(installation)["tocsin_page_handed_over_seconds_sum", ()]
    assert 0 < handed < 60
