"""A page as the channels get it."""

from datetime import UTC, datetime
from uuid import UUID

from core.types import Severity
from notify.contract import Outgoing

PAGE = Outgoing(
    id=UUID(int=7),
    kind="page",
    title="Malware <!channel> on WS-7",
    text="Isolate it?\nhxxps://evil[.]example",
    severity=Severity.critical,
    at=datetime(2026, 3, 2, 9, tzinfo=UTC),
    link="http://tocsin.test/incidents/1",
    acknowledge="http://tocsin.test/a/token",
    thread="page-1",
)
