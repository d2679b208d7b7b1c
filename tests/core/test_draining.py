"""A process that is stopped waits for what it has begun: as long as its kind of work may take, and no longer."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from core import queue, work

Told = dict[str, Callable[[], None]]


@pytest.fixture
def doing(monkeypatch: pytest.MonkeyPatch) -> Told:
    """Two kinds of work without rows: `brief` is waited for 1 s, `long` for 20 s. What each does is filled in."""
    told: Told = {}
    some = work.WorkKind("brief", None, lambda _: None, concurrency=1, ends_within=timedelta(seconds=1))
    kinds = {"brief": some, "long": replace(some, name="long", ends_within=timedelta(seconds=20))}
    monkeypatch.setattr(work, "_kinds", kinds)
    monkeypatch.setattr(work, "drain", lambda name, _stop: told[name]())
    return told


def stopped(*names: str, begun: threading.Event) -> float:
    """Begin these, stop once the first says that it has begun; the seconds that stopping took."""
    dispatcher = queue.Dispatcher()
    for name in names:
        dispatcher.wake(name)
    assert begun.wait(60)
    at = time.monotonic()
    dispatcher.stop()
    return time.monotonic() - at


def test_a_call_under_way_is_waited_for_until_it_has_ended(doing: Told) -> None:
    begun, ended = threading.Event(), threading.Event()

    def call() -> None:
        begun.set()
        time.sleep(1)
        ended.set()

    doing["long"] = call
    took = stopped("long", begun=begun)
    assert ended.is_set()
    assert took < 10, "and no longer"


def test_what_hangs_is_left_after_its_time_and_nothing_is_waited_for_without_need(doing: Told) -> None:
    begun, free = threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        free.wait(30)

    doing["brief"] = hang
    try:
        assert 1 <= stopped("brief", begun=begun) < 10, "the other kind's patience is not spent on it"
        begun.set()
        assert stopped(begun=begun) < 1, "nothing runs"
    finally:
        free.set()
