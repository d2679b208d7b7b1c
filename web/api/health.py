"""Whether this process lives, whether it can serve, and its figures for Prometheus."""

from collections.abc import Iterator

from fastapi import APIRouter, Response
from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import text

from core import clock, work
from core.db import reading

router = APIRouter(tags=["health"])


@router.get("/healthz")
def alive() -> dict[str, str]:
    """200 as long as the process answers at all."""
    return {"status": "ok"}


@router.get("/readyz")
def ready() -> dict[str, str]:
    """200 when the database answers, 503 when it does not."""
    with reading() as session:
        session.execute(text("SELECT 1"))
    return {"status": "ready"}


class Waiting(Collector):
    """Durable work as it stands in the database when Prometheus asks."""

    def collect(self) -> Iterator[Metric]:
        """One sample a kind of work: due, leased, parked, and the age of what has been due longest."""
        due = GaugeMetricFamily("tocsin_work_due", "Rows of durable work that are due now.", labels=["kind"])
        leased = GaugeMetricFamily("tocsin_work_leased", "Rows that a worker holds.", labels=["kind"])
        parked = GaugeMetricFamily(
            "tocsin_work_parked", "Rows set aside for a person to look at.", labels=["kind"]
        )
        age = GaugeMetricFamily(
            "tocsin_work_oldest_due_seconds", "How long the oldest due row waits.", labels=["kind"]
        )
        with reading() as session:
            counts = work.counts(session)
        for count in counts:
            due.add_metric([count.name], count.due)
            leased.add_metric([count.name], count.leased)
            parked.add_metric([count.name], count.parked)
            waited = (clock.now() - count.oldest_due).total_seconds() if count.oldest_due else 0
            age.add_metric([count.name], max(waited, 0))
        yield from (due, leased, parked, age)


_registry = CollectorRegistry()
for _collector in (ProcessCollector, PlatformCollector, GCCollector):
    _collector(registry=_registry)
_registry.register(Waiting())


@router.get("/metrics")
def metrics() -> Response:
    """Figures of this process and of the waiting work, in Prometheus' text format; counts only, no content."""
    return Response(generate_latest(_registry), media_type="text/plain; version=0.0.4; charset=utf-8")
