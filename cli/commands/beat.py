"""`tocsin beat`: wakes the workers for whatever has become due."""

import signal
import threading
from typing import Any

import click

from cli import migrate, serving, waiting
from core import queue


@click.command()
def command() -> None:
    """Wake workers for work that has become due (scaled shape). Several at once are harmless; none costs latency."""
    _given, redis_url = serving.prepare_scaled("beat")
    waiting.for_database()
    migrate.require_current()
    stop = threading.Event()

    def ask_to_stop(*_: Any) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask_to_stop)
    serving.settle()
    publisher = queue.Publisher(redis_url)
    with serving.observed("beat"):
        queue.sweep_forever(stop, publisher.wake)
    publisher.stop()
