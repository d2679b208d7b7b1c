"""Lines reach Tocsin once each, whatever becomes of the file, of us and of the answers."""

import gzip
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from growing_logs import Sensor
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ingest.tail import following, one_file
from ingest.tail.following import Bookmark, Tail, load, summary
from ingest.tail.one_file import Limits
from ingest.tail.which_lines import epoch_of


@pytest.fixture
def sensor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sensor]:
    """A machine, and a tail that is not patient."""
    monkeypatch.setattr(following, "LONGEST_WAIT", 0.001)
    made = Sensor(tmp_path)
    yield made
    made.stop()


def test_a_file_is_read_from_its_end_and_then_every_line_is_sent(sensor: Sensor) -> None:
    sensor.write("old", "older")
    sensor.write("half a li", end="")
    sensor.run()
    assert sensor.door.lines == []
    sensor.write("ne\nand another\nand half", end="")
    sensor.run()
    assert sensor.door.lines == ["half a line", "and another"]
    sensor.write(" more\n", end="")
    sensor.run()
    assert sensor.door.lines[-1] == "and half more"


def test_a_file_that_appears_later_is_read_from_its_beginning(sensor: Sensor) -> None:
    sensor.run()
    sensor.write("one", "two")
    sensor.run()
    assert sensor.door.lines == ["one", "two"]


@pytest.mark.parametrize("how", ["rename", "copy_and_truncate"])
@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
@pytest.mark.parametrize("packed", [True, False], ids=["packed", "plain"])
def test_rotation_loses_nothing(sensor: Sensor, how: str, running: bool, packed: bool) -> None:
    sensor.write("before we came")
    sensor.run()
    sensor.write("read in time")
    sensor.run()
    sensor.write(*[f"{how} {n}" for n in range(5)])
    if not running:
        sensor.stop()
    getattr(sensor, how)()
    if packed:
        sensor.compress()
    sensor.write("in the new one")
    sensor.run()
    assert sensor.door.lines == sensor.written[1:]


def test_two_rotations_while_nobody_looked(sensor: Sensor) -> None:
    sensor.write("before we came")
    sensor.run()
    sensor.stop()
    for number in range(3):
        sensor.write(f"day {number}", f"still day {number}")
        sensor.rename()
        sensor.compress()
    sensor.write("today")
    sensor.run()
    assert sensor.door.lines == sensor.written[1:]


def test_the_folders_by_day_of_wazuh(sensor: Sensor) -> None:
    sensor.path = sensor.folder / "alerts.json"
    day = sensor.folder / "2026" / "Nov"
    day.mkdir(parents=True)
    sensor.write("before we came")
    os.link(sensor.path, day / "ossec-alerts-21.json")
    sensor.run()
    sensor.write("late in the evening")
    sensor.stop()
    sensor.path.unlink()
    packed = day / "ossec-alerts-21.json.gz"
    packed.write_bytes(gzip.compress((day / "ossec-alerts-21.json").read_bytes()))
    (day / "ossec-alerts-21.json").unlink()
    (day / "ossec-alerts-21.json.sum").write_text("abc")
    sensor.write("in the morning")
    os.link(sensor.path, day / "ossec-alerts-22.json")
    sensor.run()
    assert sensor.door.lines == ["late in the evening", "in the morning"]


def test_a_line_without_its_end_is_sent_when_its_file_is_over(
    sensor: Sensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    sensor.write("before we came")
    sensor.run()
    sensor.write("whole")
    sensor.write("cut off", end="")
    sensor.rename()
    sensor.run()
    assert sensor.door.lines == ["whole"], "its writer may still be at it"
    monkeypatch.setattr(one_file, "LINGER", 0)
    sensor.run()
    assert sensor.door.lines == ["whole", "cut off"]
    sensor.run()
    sensor.run()
    assert len(sensor.tail.followed[0].logs) == 1  # type: ignore[union-attr]  # it runs


def test_what_a_line_too_long_said_is_told(sensor: Sensor, capsys: pytest.CaptureFixture[str]) -> None:
    sensor.write("before we came")
    sensor.run()
    sensor.write("one", '{"long": "' + "x" * 1000 + '"}', "two")
    sensor.door.answers = ["taken", "died after"]
    sensor.run()
    first, told, last = sensor.door.lines
    assert (first, last) == ("one", "two")
    assert told.startswith("tocsin tail left out a line of 1013 bytes at byte 19 of ")
    assert '{"long": "xxx' in told
    assert "is too long and was left out" in capsys.readouterr().err
    assert sensor.tail.sent["too_long"] == 1  # type: ignore[union-attr]  # it runs
    assert "1 too long" in summary(sensor.tail.sent)  # type: ignore[union-attr]  # the same


def test_smaller_batches_when_asked(sensor: Sensor) -> None:
    sensor.limits = Limits(1000, 200_000)
    sensor.write("before we came")
    sensor.run()
    sensor.write(*[f"line {n} " + "x" * 900 for n in range(50)])
    sensor.door.answers = ["too large", "too large", "died after", "too large"]
    sensor.run()
    assert sensor.door.lines == sensor.written[1:]
    assert sensor.tail is not None
    assert sensor.tail.limits.bytes < 200_000


def test_a_damaged_old_file_holds_up_nothing(sensor: Sensor, capsys: pytest.CaptureFixture[str]) -> None:
    sensor.write("before we came")
    sensor.run()
    sensor.write(*[f"doomed {n} {os.urandom(90).hex()}" for n in range(120)])
    sensor.stop()
    sensor.rename()
    sensor.compress()
    packed = sensor.folder / "eve.json.1.gz"
    packed.write_bytes(packed.read_bytes()[:9_000])
    sensor.write("in the new one")
    tail = sensor.start()
    tail.run(0, once=True, patience=1)
    assert sensor.door.lines[-1] == "in the new one"
    assert "it cannot be read now" in capsys.readouterr().err
    (damaged, _live) = tail.followed[0].logs
    assert damaged.broken_since is not None
    damaged.broken_since -= 100
    tail.run(0, once=True, patience=1)
    assert len(tail.followed[0].logs) == 1
    assert load(tail.bookmark.path)["sent"]["lost"] == 1
    assert "1 files gone before they were sent" in summary(tail.sent)


def test_a_file_that_is_gone_is_said(sensor: Sensor, capsys: pytest.CaptureFixture[str]) -> None:
    sensor.write("before we came")
    sensor.run()
    sensor.stop()
    sensor.path.unlink()
    sensor.write("another one")
    sensor.run()
    assert "is gone; what was written after that was not sent" in capsys.readouterr().err
    assert sensor.door.lines == ["another one"]


def test_since_reads_back_into_old_files_and_no_further(sensor: Sensor) -> None:
    def at(hour: int) -> str:
        return f"2026-11-22T{hour:02}:00:00.123456+0000"

    for hour in (1, 2, 9):
        sensor.write(sensor.event(timestamp=at(hour)))
    sensor.rename()
    sensor.compress()
    sensor.write(sensor.event(timestamp=at(11)), sensor.event(no="time"))
    since = epoch_of(at(8))
    assert since is not None
    os.utime(sensor.folder / "eve.json.1.gz", (since + 1, since + 1))
    sensor.start(since)
    sensor.run()
    assert sensor.door.lines == sensor.written[2:]
    sensor.start(since - 90_000)
    sensor.write(sensor.event(timestamp=at(1)))
    sensor.run()
    assert sensor.door.lines == sensor.written[2:], "still old, and the file has been followed before"


def test_only_one_tail_at_a_time(sensor: Sensor) -> None:
    sensor.start()
    with pytest.raises(SystemExit, match="another tail works with"):
        Bookmark(str(sensor.folder / "state"), "eve")


def test_when_tocsin_stays_away_once_ends_and_nothing_is_forgotten(sensor: Sensor) -> None:
    sensor.write("before we came")
    sensor.run()
    sensor.write("one")
    sensor.door.answers = ["away"] * 1000
    tail = sensor.start()
    assert tail.run(0, once=True, patience=0.3) is False
    assert "waiting: 503 busy" in _reported(tail)
    sensor.door.answers = []
    sensor.run()
    assert sensor.door.lines == ["one"]


def _reported(tail: Tail) -> str:
    tail.report(now=True)
    return tail._reported[1]


_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(1, 9)),
        st.sampled_from(["rename", "copy_and_truncate", "compress", "run", "run", "restart"]).map(lambda s: (s, 0)),
        st.tuples(st.just("answers"), st.lists(
            st.sampled_from(["taken", "away", "died before", "died after", "too large"]), max_size=5)),
    ),
    max_size=25,
)  # fmt: skip


@settings(
    max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)  # fmt: skip
@given(steps=_STEPS)
@example(steps=[("write", 1), ("copy_and_truncate", 0), ("write", 1), ("write", 1)])
@example(steps=[("write", 1), ("copy_and_truncate", 0), ("write", 1), ("rename", 0)])
@example(steps=[("rename", 0), ("run", 0), ("write", 1), ("copy_and_truncate", 0), ("restart", 0)])
@example(steps=[("write", 1), ("copy_and_truncate", 0), ("compress", 0), ("rename", 0), ("compress", 0)])
def test_every_line_arrives_once_and_in_order_whatever_happens(
    steps: list[Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(following, "LONGEST_WAIT", 0.0001)
        patch.setattr(os, "fsync", lambda _number: None)
        sensor = Sensor(tmp_path_factory.mktemp("sensor"))
        sensor.write(sensor.event())
        sensor.run()
        doing: dict[str, Callable[[], None]] = {
            "rename": sensor.rename, "copy_and_truncate": sensor.copy_and_truncate, "compress": sensor.compress,
            "run": sensor.run, "restart": sensor.stop,
        }  # fmt: skip
        for what, argument in steps:
            if what == "write":
                sensor.write(*[sensor.event(x="y" * (n * 7 % 40)) for n in range(argument)])
            elif what == "answers":
                sensor.door.answers += argument
            elif what == "copy_and_truncate" and not sensor.path.stat().st_size:
                continue
            else:
                if what in ("rename", "copy_and_truncate"):
                    _seen_at_least_once(sensor)
                doing[what]()
        sensor.door.answers = []
        sensor.run()
        sensor.run()
        sensor.stop()
    assert sensor.door.lines == sensor.written[1:]


def _seen_at_least_once(sensor: Sensor) -> None:
    """Before each rotation there is a look at the file: who looks twice a second misses none that lives longer."""
    if sensor.tail is not None:
        sensor.tail.followed[0].look()
