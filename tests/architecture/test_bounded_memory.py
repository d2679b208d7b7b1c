"""Nothing in memory grows with what others send: caches, queues and modules have a measure, and figures few labels."""

import house_rules
import pytest
from bounded_memory import bounded_memory
from house_rules import Source
from tables_ready import PACKAGES

from cli import assemble
from core import metrics

# Every label of a figure, and what keeps its values few.
CLOSED = {
    "kind": "kinds of work, registered in code",
    "verb": "verbs of the journal, declared in code",
    "product": "files of the catalogue",
    "outcome": "states, named in code",
    "state": "states, named in code",
    "because": "two words, in connectors/limits.py",
    "channel": "files of notify/channels",
    "result": "answers of the door, named in code",
    "playbook": "playbooks that an operator has published",
}
PLANTED = {
    "a cache of every argument": "@cache\ndef f(name): ...",
    "the same by another name": "@functools.cache\ndef f(*names): ...",
    "a cache without a size": "@lru_cache(maxsize=None)\ndef f(name): ...",
    "the same, shorter": "@lru_cache(None)\ndef f(*, name): ...",
    "a queue": "waiting = queue.Queue()",
    "a queue of the loop": "waiting = asyncio.Queue[int]()",
    "a simple queue": "waiting = queue.SimpleQueue()",
    "a deque": "def f():\n    return deque([1])",
    "a dictionary": "seen: dict[str, int] = {}\ndef f(name):\n    seen[name] = 1",
    "a list": "seen = []\ndef f(name):\n    seen.append(name)",
    "a default dictionary": "seen = defaultdict(list)\ndef f(name):\n    seen[name] = [1]",
    "a set": "seen = set()\ndef f(name):\n    seen.add(name)",
}
GOOD = """
@cache
def once(): ...

@lru_cache(maxsize=10)
def some(name): ...

@lru_cache
def few(name): ...

waiting = queue.Queue(100)
others = asyncio.Queue(maxsize=5)
last = deque(maxlen=3)
kinds = {}  # filled at import
seen = {}
def look(name):
    if len(seen) > 100:
        seen.clear()
    seen[name] = 1
"""


def test_nothing_grows_without_end() -> None:
    problems = [problem for source in house_rules.sources(*PACKAGES) for problem in bounded_memory(source)]
    assert not problems, "\n" + "\n".join(problems)


@pytest.mark.parametrize("name", PLANTED)
def test_what_would_grow_is_seen(name: str) -> None:
    assert len(list(bounded_memory(Source("core/planted.py", PLANTED[name])))) == 1


def test_what_has_a_measure_is_let_be() -> None:
    assert list(bounded_memory(Source("core/good.py", GOOD))) == []


def unknown_labels(figures: dict[str, metrics.Counter | metrics.Histogram]) -> list[str]:
    """The figures with a label of which nobody has said what keeps its values few."""
    ours = {name: figure for name, figure in figures.items() if not name.startswith("tocsin_test_")}
    return [
        f"{name}: {label}" for name, figure in ours.items() for label in figure.labels if label not in CLOSED
    ]


def test_labels_come_from_closed_sets() -> None:
    assemble.load()
    assert unknown_labels(metrics.declared()) == []
    planted = metrics.Counter("tocsin_senders_total", "Who sent.", ("address",))
    assert unknown_labels({planted.name: planted}) == ["tocsin_senders_total: address"]
