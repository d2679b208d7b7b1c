"""What /metrics tells: every figure that the dashboard and the rules name, one sum of all processes, no content."""

import json
import re
import threading
from datetime import timedelta

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import update
from tables_ready import ROOT, Database

from core import metrics, processes
from core.db import reading, unit_of_work
from web.api import metrics as told

A_NAME = re.compile(r"\btocsin_[a-z_]+")
_PARTS = ("_bucket", "_sum", "_count")

COUNTED = metrics.counter("tocsin_test_counted_total", "Counted by a test.", "what")
TIMED = metrics.histogram("tocsin_test_timed_seconds", "Measured by a test.", "what", bounds=(0.1, 1.0))


def _scraped() -> dict[str, float]:
    """Every sample of one scrape, by its name and labels as Prometheus writes them."""
    text = bytes(told.answer().body).decode()
    return {
        sample.name
        + "".join(f",{name}={value}" for name, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _described() -> set[str]:
    """Every name that is declared to Prometheus, with the parts a histogram has."""
    text = bytes(told.answer().body).decode()
    names = set(re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE))
    return names | {name + part for name in names for part in _PARTS}


def test_the_dashboard_and_the_rules_name_only_figures_there_are(database: Database) -> None:
    described = _described()
    dashboard = json.loads((ROOT / "docs/grafana/tocsin.json").read_text(encoding="utf-8"))
    shown = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    assert len(shown) > 30
    rules = yaml.safe_load((ROOT / "docs/grafana/alerts.yml").read_text(encoding="utf-8"))
    shown += [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    for expression in shown:
        names = set(A_NAME.findall(expression))
        assert names or "up{" in expression, expression
        assert names <= described, f"{expression}: there is no {names - described}"


def test_every_figure_of_ours_is_on_the_dashboard(database: Database) -> None:
    dashboard = (ROOT / "docs/grafana/tocsin.json").read_text(encoding="utf-8")
    ours = {name for name in _described() if name.startswith("tocsin_") and not name.endswith(_PARTS)}
    hidden = {name for name in ours if name not in dashboard and not name.startswith("tocsin_test_")}
    assert not hidden, "nobody would see these"


def test_every_figure_says_what_it_counts() -> None:
    for name, figure in metrics.declared().items():
        assert figure.says.endswith("."), name
        assert name.endswith("_total" if isinstance(figure, metrics.Counter) else "_seconds"), name
        assert name.startswith("tocsin_"), name


def test_panels_do_not_overlap() -> None:
    dashboard = json.loads((ROOT / "docs/grafana/tocsin.json").read_text(encoding="utf-8"))
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert all(x < 24 for x, _ in cells), panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_what_many_processes_count_is_one_sum(database: Database) -> None:
    """Two flushes stand for two processes: the table is where they meet."""
    for _ in range(2):
        COUNTED.add("a")
        COUNTED.add("a", by=2)
        COUNTED.add('quotes " and, commas')
        TIMED.observe(0.05, "a")
        TIMED.observe(0.5, "a")
        TIMED.observe(7, "a")
        metrics.flush()
    found = _scraped()
    assert found["tocsin_test_counted_total,what=a"] == 6
    assert found['tocsin_test_counted_total,what=quotes " and, commas'] == 2
    assert found["tocsin_test_timed_seconds_bucket,le=0.1,what=a"] == 2
    assert found["tocsin_test_timed_seconds_bucket,le=1.0,what=a"] == 4
    assert found["tocsin_test_timed_seconds_bucket,le=+Inf,what=a"] == 6
    assert found["tocsin_test_timed_seconds_count,what=a"] == 6
    assert found["tocsin_test_timed_seconds_sum,what=a"] == pytest.approx(15.1)


def test_flushing_side_by_side_loses_nothing_and_does_not_deadlock(database: Database) -> None:
    def count(first: str, second: str) -> None:
        for _ in range(20):
            COUNTED.add(first)
            COUNTED.add(second)
            metrics.flush()

    names = [("x", "y"), ("y", "x"), ("x", "z"), ("z", "y")]
    threads = [threading.Thread(target=count, args=pair) for pair in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    metrics.flush()
    found = _scraped()
    told_of = {name: found[f"tocsin_test_counted_total,what={name}"] for name in "xyz"}
    assert told_of == {"x": 60, "y": 60, "z": 40}


def test_what_could_not_be_flushed_is_kept(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    COUNTED.add("kept")

    def refuse(*_: object) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(metrics, "_add", refuse)
        with pytest.raises(OSError, match="full"):
            metrics.flush()
    COUNTED.add("kept")
    metrics.flush()
    assert _scraped()["tocsin_test_counted_total,what=kept"] == 2


def test_a_process_is_told_while_it_lives_and_not_after(database: Database) -> None:
    with processes.announced("worker"):
        while not (found := _alive()):
            threading.Event().wait(0.02)
        (one,) = found
        assert one.role == "worker"
        assert one.memory > 10_000_000
        assert _scraped()["tocsin_processes,role=worker"] == 1
        with unit_of_work() as uow:  # killed: nothing takes its row away, but it is not heard of any more
            long_ago = uow.now - timedelta(seconds=31)
            uow.execute(update(processes.Process).values(seen_at=long_ago))
        assert _alive() == []
    assert _scraped().get("tocsin_processes,role=worker", 0) == 0
    with reading() as session:
        assert session.query(processes.Process).count() == 0


def _alive() -> list[processes.Process]:
    with reading() as session:
        return processes.alive(session)


def test_a_name_is_declared_once() -> None:
    assert metrics.counter("tocsin_test_counted_total", "Counted by a test.", "what") == COUNTED
    with pytest.raises(ValueError, match="twice"):
        metrics.counter("tocsin_test_counted_total", "Something else.", "what")
