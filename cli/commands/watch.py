"""`tocsin watch`: an independent look at whether Tocsin does what it should, which speaks up by another way."""

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import click

from cli import alarming, watching, whereabouts
from cli.watching import Finding
from cli.saying import echo
from core import clock, heartbeat, logs
from core.settings import looked_up, settings

EVERY = 10.0  # seconds between two looks
BEAT_EVERY = 60.0

log = logs.get(__name__)


@click.command()
@click.option("--once", is_flag=True, help="Look once, print what is wrong, and exit with 1 if anything is.")
@click.option("--beside", type=int, hidden=True, help="End when this process has ended, and say so.")
def command(once: bool, beside: int | None) -> None:
    """Watch over Tocsin itself, with plain SQL and a way of its own to say what is wrong.

    \b
    It finds   serious incidents nobody was paged for, and urgent pages that reached nobody
               work that is late by more than 30 s, or was taken up twice and never ended
               a database that does not answer
    TOCSIN_WATCH_NOTIFY    whom to tell: smtp://host:25?to=soc@example.org, https://…; several with commas
    TOCSIN_HEARTBEAT_URL   asked every minute as long as all is well: a dead man's switch outside; may be set on a page
    """  # noqa: D301 - \b keeps click from folding the lines
    logs.configure()
    whereabouts.require_there(looked_up())
    given = looked_up() if once else settings()  # who only looks makes nothing
    engine = watching.opened(given.database_url)
    if once:
        found = watching.look(engine)
        for one in found:
            echo(one.says)
        if not found:
            echo("All is well.")
        sys.exit(1 if found else 0)
    for way in given.watch_notify:
        alarming.checked(way)
    stop = threading.Event()

    def ask_to_stop(*_: Any) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask_to_stop)
    memory = alarming.Memory.load(Path(given.data_dir) / "watch.json")
    beaten, before = -BEAT_EVERY, set[str]()
    while not stop.is_set():
        gone = beside is not None and os.getppid() != beside
        found = watching.look(engine)
        sure = [one for one in found if one.key in before]  # what is there twice is no moment's hiccup
        before = {one.key for one in found}
        if beside is None and given.alive_file is not None:
            given.alive_file.touch()
        if gone:
            sure.append(Finding("process", "Tocsin's process has ended without having been asked to."))
            memory.last = 0.0
        before_that, given = given, watching.settings_now(engine) or given
        if given.heartbeat_url != before_that.heartbeat_url:
            _told_of(given.heartbeat_url)
            beaten = -BEAT_EVERY  # a new address hears at once
        alarming.round_of(memory, sure, given.watch_notify, given.smtp_from, given.base_url)
        if gone:
            return
        due = not found and time.monotonic() - beaten >= BEAT_EVERY
        if due and (url := given.heartbeat_url) and alarming.beat(url):
            beaten = time.monotonic()
            heartbeat.remember(given.data_dir, clock.now())
        _wait(stop, beside)


def _told_of(url: str | None) -> None:
    """The log says that the heartbeat was switched on, changed or off: no page of ours can tell the switch outside."""
    if url:
        log.info("the heartbeat goes to the address that is set now")
    else:
        log.warning("the heartbeat was switched off: pause the check that waits for it outside, or it alarms")


def _wait(stop: threading.Event, beside: int | None) -> None:
    """Until the next look; a process that ends beside us ends the wait."""
    end = time.monotonic() + EVERY
    while time.monotonic() < end and not stop.wait(0.5):
        if beside is not None and os.getppid() != beside:
            return
