"""Structured logs: one JSON object a line, with a correlation id from webhook to page."""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TextIO

correlation: ContextVar[str | None] = ContextVar("correlation", default=None)
"""The id that ties log lines of one delivery or request together, up to the page it leads to."""


@contextmanager
def tied(to: str | None) -> Iterator[None]:
    """Tie what is logged, and what work is queued, in this block to `to`; None leaves it as it is."""
    if to is None:
        yield
        return
    token = correlation.set(to)
    try:
        yield
    finally:
        correlation.reset(token)


def tied_to() -> str | None:
    """What this moment's work is tied to: kept on rows of work, so that whoever does it goes on with the same id."""
    return correlation.get()


_STANDARD = frozenset(logging.LogRecord("", 0, "", 0, "", (), None).__dict__) | {
    "message",
    "asctime",
    "taskName",
}


def field(name: str) -> str:
    """A name for `extra`: a line's own parts (message, name, module…) may not be named again."""
    return f"{name}_id" if name in _STANDARD else name



class JsonLines(logging.Formatter):
    """Formats a record as one JSON object; `extra=` fields become keys."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (tied := correlation.get()) is not None:
            line["correlation"] = tied
        line.update({key: value for key, value in record.__dict__.items() if key not in _STANDARD})
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def configure(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send every log line of this process to `stream` (standard error) as JSON."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger("alembic").setLevel("WARNING")  # its steps tell an operator nothing at every start


def get(name: str) -> logging.Logger:
    """The logger of a module."""
    return logging.getLogger(name)
