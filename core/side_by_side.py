"""Does several things that wait for a far end side by side, and gives what came of each as it comes."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from queue import Empty, Queue
from typing import TypeVar

Thing = TypeVar("Thing")
Outcome = TypeVar("Outcome")

GATHER = 0.02  # seconds: so long what has ended waits at most for others to be told with it …
NEXT = 0.002  # … while the next one follows within so many

_threads = ThreadPoolExecutor(128, thread_name_prefix="aside")  # as many as calls may be in hand


def done(
    do: Callable[[Thing], Outcome], things: Sequence[Thing]
) -> Iterator[list[tuple[Thing, Future[Outcome]]]]:
    """Do it for each in a thread of its own: a slow one holds up no other. Gives together what ends at about the same time."""
    ended: Queue[tuple[Thing, Future[Outcome]]] = Queue(max(len(things), 1))
    for thing in things:
        _threads.submit(do, thing).add_done_callback(partial(_put, ended, thing))
    left = len(things)
    while left:
        found = [ended.get()]
        until = time.monotonic() + GATHER
        while len(found) < left and time.monotonic() < until:
            try:
                found.append(ended.get(timeout=NEXT))
            except Empty:
                break
        left -= len(found)
        yield found


def _put(
    ended: "Queue[tuple[Thing, Future[Outcome]]]", thing: Thing, task: "Future[Outcome]"
) -> None:
    ended.put((thing, task))
