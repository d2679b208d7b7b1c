"""`tocsin beat`: wakes the workers for whatever has become due."""

import signal
import threading
from typing import Any

import click

from cli import migrate, serving, waiting
from core import queue
from core.errors import Invalid


@click.command()
def command() -> None:
    """Wake workers for work that has become due (scaled shape). Several at once are harmless; none costs latency."""
    given = serving.prepare()
    if given.redis_url is None:
        raise Invalid(
            "TOCSIN_REDIS_URL is not set: `tocsin beat` belongs to the scaled shape; use `tocsin serve`."
        )
    waiting.for_database()
    migrate.require_current()
    stop = threading.Event()

    def ask_to_stop(*_: Any) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask_to_stop)
    serving.settle()
    publisher = queue.Publisher(given.redis_url)
    with serving.observed("beat"):
        queue.sweep_forever(stop, publisher.wake)
    publisher.stop()
