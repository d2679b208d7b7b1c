"""An OpenTelemetry collector for tests: takes traces over real OTLP/HTTP and shows the spans it was sent."""

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from free_ports import wait_until
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from vendor_server import Vendor


@dataclass(frozen=True)
class Span:
    """One span as it was received; `trace` is written as the receipt it comes from."""

    name: str
    trace: str
    id: bytes
    parent: bytes
    role: str
    attributes: dict[str, str]


class Collector:
    """Listens on `.url` as OTEL_EXPORTER_OTLP_ENDPOINT wants it."""

    def __init__(self) -> None:
        self._server = Vendor()
        self.url = self._server.url

    def start(self) -> None:
        """Begin to listen."""
        self._server.start()

    def stop(self) -> None:
        """End it."""
        self._server.stop()

    @property
    def spans(self) -> list[Span]:
        """Every span so far."""
        found = []
        for call in self._server.calls:
            assert (call.method, call.path) == ("POST", "/v1/traces"), call
            packed = call.headers.get("Content-Encoding") == "gzip"
            request = ExportTraceServiceRequest.FromString(
                gzip.decompress(call.body) if packed else call.body
            )
            for resource in request.resource_spans:
                of = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
                found += [
                    Span(
                        span.name, str(UUID(bytes=span.trace_id)), span.span_id, span.parent_span_id, of["tocsin.role"],
                        {pair.key: pair.value.string_value for pair in span.attributes},
                    )
                    for scope in resource.scope_spans
                    for span in scope.spans
                ]  # fmt: skip
        return found

    def wait_for(self, ready: Callable[[list[Span]], object], *, seconds: float = 30) -> list[Span]:
        """The spans once `ready` holds of them."""
        wait_until(lambda: ready(self.spans), seconds=seconds, what="the spans")
        return self.spans
