"""Counts what happens, in every process, and keeps the sums in the database, so that each process can tell them all.

A figure is declared where it is counted. Counting is a dictionary's increment in memory; a thread adds what has gathered to
the database every other second. A counter therefore never goes back, not even when a process ends; a process that is
killed loses its last two seconds of counting, nothing else. core.processes has the thread.
"""

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec
from sqlalchemy import Float, String, Text, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from core.db import Base, UnitOfWork, is_postgres, unit_of_work

EVERY = timedelta(seconds=2)
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""The bounds of a histogram of durations."""


class MetricCount(Base):
    """One sum: of a counter, or of one bucket of a histogram (not cumulated), for one set of label values."""

    __tablename__ = "metric_counts"

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    labels: Mapped[str] = mapped_column(Text, primary_key=True)  # the values, in order, as a JSON list
    value: Mapped[float] = mapped_column(Float)


Key = tuple[str, tuple[str, ...]]
_lock = threading.Lock()
_gathered: dict[Key, float] = {}


@dataclass(frozen=True)
class Counter:
    """Something that is counted; `name` ends in _total. `known` are label values that are told from the start, at 0."""

    name: str
    says: str
    labels: tuple[str, ...] = ()
    known: tuple[tuple[str, ...], ...] = ()

    def add(self, *values: str, by: float = 1.0) -> None:
        """Count one more (or `by`) for these label values."""
        key = (self.name, values)
        with _lock:
            _gathered[key] = _gathered.get(key, 0.0) + by


@dataclass(frozen=True)
class Histogram:
    """Something that is measured, in seconds; `name` ends in _seconds."""

    name: str
    says: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = SECONDS

    def observe(self, seconds: float, *values: str) -> None:
        """Note one measurement for these label values."""
        place = bisect_left(self.bounds, seconds)
        bucket = (self.name, (*values, str(place)))
        total = (self.name, (*values, "sum"))
        with _lock:
            _gathered[bucket] = _gathered.get(bucket, 0.0) + 1.0
            _gathered[total] = _gathered.get(total, 0.0) + max(seconds, 0.0)


@dataclass(frozen=True)
class Reading:
    """What a scrape is told of one figure for one set of label values: `buckets` are cumulated, the last one is all."""

    figure: Counter | Histogram
    values: tuple[str, ...]
    value: float
    buckets: tuple[tuple[str, float], ...] = ()


_declared: dict[str, Counter | Histogram] = {}  # filled at import


def counter(name: str, says: str, *labels: str, known: tuple[tuple[str, ...], ...] = ()) -> Counter:
    """Declare a counter, once, at import; without `known`, whoever watches it for growth misses the first time."""
    figure = Counter(name, says, labels, known)
    _declare(figure)
    return figure


def histogram(name: str, says: str, *labels: str, bounds: tuple[float, ...] = SECONDS) -> Histogram:
    """Declare a histogram of durations, once, at import."""
    figure = Histogram(name, says, labels, bounds)
    _declare(figure)
    return figure


_of_facts: dict[str, list[Callable[[Mapping[str, Any]], None]]] = {}  # filled at import


def on_fact(
    verb: str,
) -> Callable[[Callable[[Mapping[str, Any]], None]], Callable[[Mapping[str, Any]], None]]:
    """Call the decorated function with the body of every fact of this verb that was committed in this process."""

    def add(count: Callable[[Mapping[str, Any]], None]) -> Callable[[Mapping[str, Any]], None]:
        _of_facts.setdefault(verb, []).append(count)
        return count

    return add


def counting(verb: str) -> Iterable[Callable[[Mapping[str, Any]], None]]:
    """What counts facts of this verb; only the journal calls this."""
    return _of_facts.get(verb, ())


def declared() -> dict[str, Counter | Histogram]:
    """Every figure, by name."""
    return dict(_declared)


def sums(session: Session) -> Iterator[Reading]:
    """What all processes have counted so far, figure by figure; labels that were never counted and are not `known` are left out."""
    kept: dict[str, dict[tuple[str, ...], float]] = {}
    for name, labels, value in session.execute(
        select(MetricCount.name, MetricCount.labels, MetricCount.value)
    ):
        kept.setdefault(name, {})[tuple(msgspec.json.decode(labels))] = value
    for name, figure in sorted(_declared.items()):
        found = kept.get(name, {})
        if isinstance(figure, Histogram):
            yield from _measured(figure, found)
            continue
        for values in figure.known if figure.labels else ((),):
            found.setdefault(values, 0.0)
        for values, value in sorted(found.items()):
            yield Reading(figure, values, value)


def flush() -> None:
    """Add what has gathered in this process to the sums; if that fails it is kept for the next time."""
    with _lock:
        gathered = dict(_gathered)
        _gathered.clear()
    if not gathered:
        return
    try:
        with unit_of_work() as uow:
            _add(uow, gathered)
    except BaseException:
        with _lock:
            for key, value in gathered.items():
                _gathered[key] = _gathered.get(key, 0.0) + value
        raise


def _declare(figure: Counter | Histogram) -> None:
    if _declared.setdefault(figure.name, figure) != figure:
        raise ValueError(f"the figure {figure.name} is declared twice")


def _add(uow: UnitOfWork, gathered: dict[Key, float]) -> None:
    """One statement, its rows in one order everywhere, so that two processes cannot deadlock."""
    if is_postgres(uow):
        from sqlalchemy.dialects.postgresql import insert
    else:
        from sqlalchemy.dialects.sqlite import insert  # type: ignore[assignment]  # the same statement on both
    encode = msgspec.json.encode
    rows = sorted((name, encode(values).decode(), value) for (name, values), value in gathered.items())
    statement = insert(MetricCount).values(
        [dict(zip(("name", "labels", "value"), row, strict=True)) for row in rows]
    )
    statement = statement.on_conflict_do_update(
        index_elements=["name", "labels"], set_={"value": MetricCount.value + statement.excluded.value}
    )
    uow.execute(statement)


def _measured(figure: Histogram, found: dict[tuple[str, ...], float]) -> Iterator[Reading]:
    by_values: dict[tuple[str, ...], dict[str, float]] = {}
    for (*names, part), value in found.items():
        by_values.setdefault(tuple(names), {})[part] = value
    if not figure.labels:
        by_values.setdefault((), {})
    for values, parts in sorted(by_values.items()):
        buckets, running = [], 0.0
        for place, bound in enumerate((*figure.bounds, None)):
            running += parts.get(str(place), 0.0)
            buckets.append(("+Inf" if bound is None else str(bound), running))
        yield Reading(figure, values, parts.get("sum", 0.0), tuple(buckets))
