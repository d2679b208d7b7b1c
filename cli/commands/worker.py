"""`tocsin worker`: does the work of the scaled shape; Celery wakes it, a sweep finds what a wake has missed."""

import logging
from typing import Any

import click

from cli import migrate, serving, waiting
from core import queue
from ingest import mail_ways


@click.command()
@click.option("--log-level", default="warning", show_default=True, help="How much Celery itself says.")
def command(log_level: str) -> None:
    """Do durable work: read alerts, run playbooks, call products, page people. Start as many as you like.

    Without Redis it still works, half a second later: rows in the database hold the truth.
    """
    given, redis_url = serving.prepare_scaled("worker")
    serving.ready_for_mail(given)
    waiting.for_database()
    migrate.require_current()
    app = queue.celery_app(redis_url)
    _keep_our_log()
    with (
        serving.observed("worker"), serving.linked(given, listen=False), serving.working() as dispatcher,
        mail_ways.kept(),
    ):  # fmt: skip
        serving.settle()
        app.task(name="tocsin.drain", ignore_result=True)(dispatcher.wake)
        app.worker_main(
            ["worker", "--pool=threads", "--concurrency=2", f"--loglevel={log_level}",
             "--without-gossip", "--without-mingle", "--without-heartbeat"]
        )  # fmt: skip


def _keep_our_log() -> None:
    """Celery would set the level of every logger to its own; its lines go where ours go, at the level it was given."""
    from celery.signals import setup_logging

    def quieten(loglevel: int, **_: Any) -> None:
        for name in ("celery", "kombu", "amqp"):
            logging.getLogger(name).setLevel(loglevel)

    setup_logging.connect(quieten, weak=False)
