"""Wakes the workers: by a thread pool in one process, by Celery between many; losing a wake costs latency only."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

from core import backlog, live, logs, turns, work
from core.db import reading
from core.errors import TocsinError
from core.settings import settings
from core.types import Ref

if TYPE_CHECKING:
    from celery import Celery

log = logs.get(__name__)

SWEEP_EVERY = timedelta(seconds=0.5)
PUBLISH_EVERY = timedelta(milliseconds=20)  # what is said within this goes out together …
PUBLISH_SELDOM = timedelta(milliseconds=100)  # … and within this while senders crowd at the door: workers are awake


class Dispatcher:
    """Runs work of this process on a thread pool: at most `concurrency` drains of each kind at a time."""

    def __init__(self) -> None:
        # A thread for every drain: what waits for a far end must not keep the others from beginning.
        threads = sum(kind.concurrency for kind in work.kinds().values())
        self._pool = ThreadPoolExecutor(max(threads, 1), thread_name_prefix="work")
        self._lock = threading.Lock()
        self._ended = threading.Condition(self._lock)
        self._running: dict[str, int] = {}
        self._again: set[str] = set()
        self._stop = threading.Event()
        self._sweeper = threading.Thread(target=self._sweep, name="sweeper", daemon=True)

    def start(self) -> None:
        """Begin to look for due rows."""
        self._sweeper.start()

    def stop(self) -> None:
        """Take nothing new and wait for what runs, each kind as long as its `ends_within` says.

        What does not end in time is taken over when its lease ends; what had been asked of a product is then unknown.
        """
        began = time.monotonic()
        self._stop.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            while (left := self._patience() - (time.monotonic() - began)) > 0:
                self._ended.wait(left)

    def _patience(self) -> float:
        """Seconds that a stop may take for the sake of what runs now."""
        kinds = work.kinds()
        running = [kinds[name] for name, number in self._running.items() if number and name in kinds]
        return max((kind.ends_within.total_seconds() for kind in running), default=0.0)

    def wake(self, name: str) -> None:
        """Drain this kind soon; never blocks."""
        kind = work.kinds().get(name)
        if kind is None or self._stop.is_set():
            return
        with self._lock:
            if self._running.get(name, 0) >= kind.concurrency:
                self._again.add(name)
                return
            self._running[name] = self._running.get(name, 0) + 1
        try:
            begun = self._pool.submit(self._drain, name)
        except RuntimeError:  # the pool has been shut down between the check and here
            self._left(name)
        else:
            begun.add_done_callback(lambda task: self._left(name) if task.cancelled() else None)

    def _drain(self, name: str) -> None:
        while True:
            try:
                work.drain(name, self._stop.is_set)
            except Exception:  # the outermost loop of a worker thread: log, let the sweeper try again
                log.exception("draining %s failed", name)
            with self._lock:
                if name in self._again and not self._stop.is_set():
                    self._again.discard(name)
                    continue
                self._running[name] -= 1
                self._ended.notify_all()
                return

    def _left(self, name: str) -> None:
        """A drain that was to run does not."""
        with self._lock:
            self._running[name] -= 1
            self._ended.notify_all()

    def _sweep(self) -> None:
        while not self._stop.wait(SWEEP_EVERY.total_seconds()):
            _wake_due(self.wake)


class Publisher:
    """Tells other processes over Redis from one background thread; bounded, and drops rather than blocks."""

    def __init__(self, redis_url: str) -> None:
        self.app = celery_app(redis_url)
        self._ready = threading.Condition()
        self._names: dict[str, None] = {}
        self._refs: dict[Ref, None] = {}
        self._stop = False
        self._thread = threading.Thread(target=self._publish, name="publisher", daemon=True)
        self._thread.start()

    def wake(self, name: str) -> None:
        """Queue a wake; several of one kind become one."""
        with self._ready:
            self._names[name] = None
            self._ready.notify()

    def changed(self, refs: tuple[Ref, ...]) -> None:
        """Queue "X changed" for the open pages of all web processes."""
        with self._ready:
            if len(self._refs) < 1000:
                self._refs.update(dict.fromkeys(refs))
            self._ready.notify()

    def stop(self) -> None:
        """End the thread; what is still queued is dropped."""
        with self._ready:
            self._stop = True
            self._ready.notify()
        self._thread.join(1)

    def _publish(self) -> None:
        import msgspec
        import redis

        url = settings().redis_url
        assert url is not None
        client = redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1)
        while True:
            with self._ready:
                while not (self._names or self._refs or self._stop):
                    self._ready.wait()
                if self._stop:
                    return
                names, refs = list(self._names), list(self._refs)
                self._names.clear()
                self._refs.clear()
            try:
                for name in names:
                    self.app.send_task(
                        "tocsin.drain", args=[name], ignore_result=True, expires=30, retry=False
                    )
                if refs:
                    client.publish(LIVE_CHANNEL, msgspec.json.encode(refs))
            except Exception as error:  # noqa: BLE001 - Redis away or hung: wakes are droppable, the sweepers find the rows
                log.warning("could not wake other processes", extra={"reason": type(error).__name__})
            time.sleep((PUBLISH_SELDOM if turns.crowded() else PUBLISH_EVERY).total_seconds())


LIVE_CHANNEL = "tocsin:live"


def celery_app(redis_url: str) -> "Celery":
    """The Celery application: names of work kinds travel through it, nothing else."""
    from celery import Celery

    app = Celery("tocsin", broker=redis_url)
    app.conf.update(
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        result_backend=None,
        task_acks_late=False,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        broker_transport_options={"socket_timeout": 3, "socket_connect_timeout": 3, "max_retries": 1},
        broker_connection_timeout=3,
        task_publish_retry=False,
    )
    return app


_wakers: list[Callable[[str], None]] = []


def wake(name: str) -> None:
    """Have this kind of work looked at now; never blocks, may be lost."""
    for waker in _wakers:
        waker(name)


def wake_through(*wakers: Callable[[str], None]) -> None:
    """From now on `wake` calls these: a Dispatcher's, a Publisher's, or none (a command line process)."""
    _wakers[:] = wakers


def sweep_forever(stop: threading.Event, send: Callable[[str], None]) -> None:
    """Wake every kind that has something due, twice a second, until `stop` is set: what `tocsin beat` does."""
    while not stop.wait(SWEEP_EVERY.total_seconds()):
        _wake_due(send)


def relay_live(stop: threading.Event, redis_url: str) -> None:
    """Hand what other processes say has changed to the pages of this one, until `stop` is set."""
    import msgspec
    import redis

    decoder = msgspec.json.Decoder(tuple[Ref, ...])
    while not stop.is_set():
        try:
            client = redis.Redis.from_url(redis_url, socket_timeout=5, socket_connect_timeout=2)
            with client.pubsub(ignore_subscribe_messages=True) as channel:
                channel.subscribe(LIVE_CHANNEL)
                while not stop.is_set():
                    message = channel.get_message(timeout=1)
                    if message:
                        live.deliver(decoder.decode(message["data"]))
        except (redis.RedisError, OSError, msgspec.MsgspecError) as error:
            log.warning("live updates from other processes stopped", extra={"reason": type(error).__name__})
            stop.wait(2)


def _wake_due(send: Callable[[str], None]) -> None:
    try:
        with reading() as session:
            names = backlog.due(session)
    except (TocsinError, OSError) as error:
        log.warning("the sweep could not read the database", extra={"reason": repr(error)})
        return
    except Exception as error:  # noqa: BLE001 - the sweeper must outlive any database trouble
        log.warning("the sweep failed", extra={"reason": repr(error)})
        return
    for name in names:
        send(name)
