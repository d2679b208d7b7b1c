"""Figures for Prometheus: what all processes have counted, what stands in the database, and how this process is."""

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, Response
from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from core import backlog, metrics, processes, sealing
from core.db import database_now, reading
from core.journal import JournalPending
from core.metrics import Histogram
from core.settings import settings
from core.types import Severity, from_micros
from incidents.models import Incident
from ingest.models import QUARANTINED, Delivery
from notify.models import Page
from playbooks.models import PlaybookRun
from playbooks.state import RUN_LIVE

router = APIRouter(tags=["health"])


class Counted(Collector):
    """What every process of the installation has counted so far: the same figures whichever of them is asked."""

    def collect(self) -> Iterator[Metric]:
        """Counters and histograms, as core.metrics declares them."""
        families: dict[str, Metric] = {}
        with reading() as session:
            for one in metrics.sums(session):
                figure = one.figure
                if isinstance(figure, Histogram):
                    family = families.setdefault(
                        figure.name, HistogramMetricFamily(figure.name, figure.says, labels=figure.labels)
                    )
                    assert isinstance(family, HistogramMetricFamily)
                    family.add_metric(one.values, list(one.buckets), one.value)
                else:
                    family = families.setdefault(
                        figure.name, CounterMetricFamily(figure.name, figure.says, labels=figure.labels)
                    )
                    assert isinstance(family, CounterMetricFamily)
                    family.add_metric(one.values, one.value)
        for name, figure in metrics.declared().items():  # a name is there before it was first counted
            kind = HistogramMetricFamily if isinstance(figure, Histogram) else CounterMetricFamily
            families.setdefault(name, kind(name, figure.says, labels=figure.labels))
        yield from families.values()


class Standing(Collector):
    """What stands in the database when Prometheus asks: the same figures whichever process is asked."""

    def collect(self) -> Iterator[Metric]:
        """Waiting work, open cases, living processes."""
        with reading() as session:
            now = database_now(session)
            yield from _waiting(session, now)
            yield from _cases(session)
            yield from _journal(session, now)
            yield from _alive(session)


class Here(Collector):
    """The pools of connections of the process that answers."""

    def collect(self) -> Iterator[Metric]:
        """Connections in use and open, by pool."""
        used = _gauge("tocsin_database_connections_in_use", "Connections of this process in use.", "pool")
        opened = _gauge(
            "tocsin_database_connections_open", "Connections of this process that are open.", "pool"
        )
        most = _gauge("tocsin_database_connections_max", "Connections this process may open.", "pool")
        for name, pool in processes.pools().items():
            used.add_metric([name], pool.checkedout())
            opened.add_metric([name], pool.checkedout() + pool.checkedin())
            most.add_metric([name], pool.size() + pool._max_overflow)
        yield from (used, opened, most)


def _gauge(name: str, says: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, says, labels=labels)


def _waiting(session: Session, now: datetime) -> Iterator[Metric]:
    due = _gauge("tocsin_work_due", "Rows of durable work that are due now.", "kind")
    leased = _gauge("tocsin_work_leased", "Rows that a worker holds.", "kind")
    parked = _gauge("tocsin_work_parked", "Rows set aside for a person to look at.", "kind")
    age = _gauge("tocsin_work_oldest_due_seconds", "How long the oldest due row waits.", "kind")
    for count in backlog.counts(session):
        due.add_metric([count.name], count.due)
        leased.add_metric([count.name], count.leased)
        parked.add_metric([count.name], count.parked)
        waited = (now - count.oldest_due).total_seconds() if count.oldest_due else 0
        age.add_metric([count.name], max(waited, 0))
    yield from (due, leased, parked, age)


def _cases(session: Session) -> Iterator[Metric]:
    opened = _gauge("tocsin_incidents_open", "Open incidents.", "severity")
    by_severity = select(Incident.severity, func.count()).where(Incident.closed_at.is_(None))
    found = dict.fromkeys(map(str, Severity), 0)
    for severity, count in session.execute(by_severity.group_by(Incident.severity)):
        found[severity] = count
    for severity, count in found.items():
        opened.add_metric([severity], count)
    live = _gauge("tocsin_runs_live", "Runs that have not ended.", "state")
    by_state = select(PlaybookRun.state, func.count()).where(PlaybookRun.state.in_(RUN_LIVE))
    for state, count in session.execute(by_state.group_by(PlaybookRun.state)):
        live.add_metric([state], count)
    pages = _gauge("tocsin_pages_open", "Pages that are not closed.", "state")
    waiting = select(Page.state, func.count()).where(Page.closed_at.is_(None)).group_by(Page.state)
    for state, count in session.execute(waiting):
        pages.add_metric([state], count)
    aside = _gauge(
        "tocsin_deliveries_quarantined", "Deliveries that could not be read and wait for a person."
    )
    quarantined = select(func.count()).select_from(Delivery).where(text(f"state = '{QUARANTINED}'"))
    aside.add_metric([], session.scalar(quarantined) or 0)
    yield from (opened, live, pages, aside)


def _journal(session: Session, now: datetime) -> Iterator[Metric]:
    state = sealing.state(session)
    waiting = _gauge("tocsin_journal_unsealed", "Entries that wait to be sealed (counted up to 1,000).")
    waiting.add_metric([], state.waiting)
    age = _gauge("tocsin_journal_unsealed_seconds", "How long the oldest of them waits.")
    oldest = session.scalar(select(JournalPending.entry).order_by(JournalPending.entry).limit(1))
    age.add_metric([], max((now - _made_at(oldest)).total_seconds(), 0) if oldest else 0)
    yield from (waiting, age)


def _made_at(entry: UUID) -> datetime:
    """When a UUIDv7 was made: its first 48 bits are milliseconds."""
    return from_micros((entry.int >> 80) * 1000)


def _alive(session: Session) -> Iterator[Metric]:
    lives = _gauge("tocsin_processes", "Processes that were heard of in the last 30 seconds.", "role")
    named = ("role", "host", "pid")
    memory = _gauge("tocsin_process_memory_bytes", "Resident memory of each process.", *named)
    used = _gauge(
        "tocsin_process_database_connections", "Connections to the database each process uses.", *named
    )
    since = _gauge(
        "tocsin_process_start_time_seconds", "When each process began, in seconds since 1970.", *named
    )
    by_role = dict.fromkeys(("serve",) if settings().embedded else ("web", "worker", "beat"), 0)
    for one in processes.alive(session):
        by_role[one.role] = by_role.get(one.role, 0) + 1
        which = [one.role, one.host, str(one.pid)]
        memory.add_metric(which, one.memory)
        used.add_metric(which, one.connections)
        since.add_metric(which, one.started_at.timestamp())
    for role, count in by_role.items():
        lives.add_metric([role], count)
    build = InfoMetricFamily("tocsin_build", "The version that answers, and its shape.")
    shape = "embedded" if settings().embedded else "scaled"
    build.add_metric([], {"version": processes.version(), "shape": shape, "database": _database(session)})
    yield from (lives, memory, used, since, build)


def _database(session: Session) -> str:
    return session.get_bind().dialect.name


_registry = CollectorRegistry()
for _collector in (ProcessCollector, PlatformCollector, GCCollector):
    _collector(registry=_registry)
for _own in (Counted(), Standing(), Here()):
    _registry.register(_own)


@router.get("/metrics")
def answer() -> Response:
    """Figures in Prometheus' text format: counts and durations, no content."""
    return Response(generate_latest(_registry), media_type="text/plain; version=0.0.4; charset=utf-8")
