"""Follows one thing through every process: ties its log lines together and, when OpenTelemetry is configured, its spans.

The id that log lines carry is the trace's id too. For a delivery that is its receipt: looked up without its dashes, it shows
the trace from the door to the page. Rows of work carry the id from process to process (core.work.Work.correlation).
OpenTelemetry is configured by its own variables (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/);
without OTEL_EXPORTER_OTLP_ENDPOINT nothing of it is imported.
"""

import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

from core import logs

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.sampling import Sampler

log = logs.get(__name__)

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_RANDOM = (1 << 56) - 1  # of a UUIDv7 the last seven bytes are random, as W3C's Trace Context 2 wants it


class Span:
    """What the block of `doing` may say about itself; without OpenTelemetry nobody listens."""

    def note(self, **attributes: Any) -> None:
        """Add attributes."""


class _Nothing(Span):
    """No span: nothing is configured."""


_NOTHING = _Nothing()
_tracing: list["Tracing"] = []


def trace_id(correlation: str) -> int:
    """The 128 bits of a correlation id: a receipt's own, others by their hash."""
    try:
        return UUID(correlation).int
    except ValueError:
        return int.from_bytes(hashlib.sha256(correlation.encode()).digest()[:16], "big")


@contextmanager
def doing(name: str, correlation: str | None = None, **attributes: Any) -> Iterator[Span]:
    """Tie the block to `correlation` (None: as it is), and make it a span where traces are collected.

    Attributes are facts an operator may see, never content: ids, names, counts.
    """
    with logs.tied(correlation):
        tied = logs.tied_to()
        if not _tracing or tied is None:
            yield _NOTHING
            return
        with _tracing[0].span(name, tied, attributes) as span:
            yield span


def accepted(correlation: str, began: float, **attributes: Any) -> None:
    """The first span of a delivery's trace, told when it is over: its receipt is its id. `began` is time.time()."""
    if _tracing:
        _tracing[0].first(correlation, began, attributes)


def wanted(env: Mapping[str, str] = os.environ) -> bool:
    """Whether somebody has said where traces go."""
    off = env.get("OTEL_SDK_DISABLED", "").lower() == "true" or env.get("OTEL_TRACES_EXPORTER") == "none"
    return not off and any(env.get(name) for name in _ENDPOINTS)


@contextmanager
def collected(role: str, version: str) -> Iterator[None]:
    """Send spans to the configured endpoint for the length of the block; what is left goes out at its end (5 s at most)."""
    if not wanted():
        yield
        return
    tracing = Tracing(role, version)
    _tracing[:] = [tracing]
    try:
        yield
    finally:
        _tracing.clear()
        tracing.stop()


class Tracing:
    """OpenTelemetry's SDK: spans leave in batches from a thread of its own; when nobody takes them they are dropped."""

    def __init__(self, role: str, version: str) -> None:
        from opentelemetry import context, trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        told = {
            "service.name": os.environ.get("OTEL_SERVICE_NAME", "tocsin"),
            "service.version": version,
            "service.instance.id": f"{role}-{os.getpid()}",
            "tocsin.role": role,
        }
        self._trace, self._context = trace, context
        self._ids = _ids()
        self._provider = TracerProvider(
            resource=Resource.create(told),
            sampler=_sampler(_ratio()),
            id_generator=self._ids,
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("tocsin", version)

    @contextmanager
    def span(self, name: str, correlation: str, attributes: Mapping[str, Any]) -> Iterator[Span]:
        """A span within the trace of `correlation`: below the one that is open here, else below the trace's first."""
        trace = self._trace
        number = trace_id(correlation)
        above = trace.get_current_span().get_span_context()
        within = None
        if above.trace_id != number:
            first = trace.SpanContext(
                number, _first_span(number), is_remote=True, trace_flags=trace.TraceFlags(1)
            )
            within = trace.set_span_in_context(trace.NonRecordingSpan(first), self._context.Context())
        told = {"tocsin.correlation": correlation, **_plain(attributes)}
        with self._tracer.start_as_current_span(name, context=within, attributes=told) as span:
            yield _Told(span)

    def first(self, correlation: str, began: float, attributes: Mapping[str, Any]) -> None:
        """The span that others of its trace are below, already over."""
        number = trace_id(correlation)
        told = {"tocsin.correlation": correlation, **_plain(attributes)}
        with self._ids.being(number, _first_span(number)):
            span = self._tracer.start_span(
                "accept",
                context=self._context.Context(),
                kind=self._trace.SpanKind.SERVER,
                attributes=told,
                start_time=int(began * 1e9),
            )
        span.end(time.time_ns())

    def stop(self) -> None:
        """Send what is left."""
        self._provider.force_flush(5000)
        self._provider.shutdown()


class _Told(Span):
    """An open span."""

    def __init__(self, span: Any) -> None:
        self._span = span

    def note(self, **attributes: Any) -> None:
        self._span.set_attributes(_plain(attributes))


def _plain(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes as OpenTelemetry takes them, under our name; what is None is left out."""
    return {
        f"tocsin.{name}": value if isinstance(value, bool | int | float) else str(value)
        for name, value in attributes.items()
        if value is not None
    }


def _first_span(number: int) -> int:
    """The id of a trace's first span, which everybody who knows the trace's id can tell."""
    return (number & ((1 << 64) - 1)) or 1


def _ids() -> Any:
    """Random ids, except within `being`."""
    import threading

    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    class Ids(RandomIdGenerator):
        """Random ids, except for a trace's first span."""

        def __init__(self) -> None:
            self._given = threading.local()

        @contextmanager
        def being(self, trace: int, span: int) -> Iterator[None]:
            """The next span of this thread has these ids."""
            self._given.ids = (trace, span)
            try:
                yield
            finally:
                del self._given.ids

        def generate_trace_id(self) -> int:
            ids = getattr(self._given, "ids", None)
            return ids[0] if ids else super().generate_trace_id()

        def generate_span_id(self) -> int:
            ids = getattr(self._given, "ids", None)
            return ids[1] if ids else super().generate_span_id()

    return Ids()


def _ratio() -> float:
    """How many traces are kept, of 1: OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG."""
    named = os.environ.get("OTEL_TRACES_SAMPLER", "parentbased_always_on").removeprefix("parentbased_")
    if named == "always_off":
        return 0.0
    if named != "traceidratio":
        return 1.0
    try:
        return min(max(float(os.environ.get("OTEL_TRACES_SAMPLER_ARG", "1")), 0.0), 1.0)
    except ValueError:
        log.warning("OTEL_TRACES_SAMPLER_ARG is not a number: every trace is kept")
        return 1.0


def _sampler(ratio: float) -> "Sampler":
    """Every process decides about a trace alike, by its id."""
    from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult

    class ByReceipt(Sampler):
        """OpenTelemetry's own ratio looks at eight bytes; two bits of a UUID's are always the same."""

        def should_sample(
            self, parent_context: Any, trace_id: int, *told: Any, **named: Any
        ) -> SamplingResult:
            """Called with name, kind, attributes, links and trace state, of which the attributes go on."""
            del parent_context
            attributes = named.get("attributes", told[2] if len(told) > 2 else None)
            inside = (trace_id & _RANDOM) < ratio * (_RANDOM + 1)
            return SamplingResult(Decision.RECORD_AND_SAMPLE if inside else Decision.DROP, attributes)

        def get_description(self) -> str:
            return f"ByReceipt({ratio})"

    return ByReceipt()
