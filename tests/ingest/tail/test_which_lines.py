"""Which lines of a file a tail sends, and when a line says that it happened."""

from typing import Any

import pytest

from ingest.tail.which_lines import Filter, epoch_of


@pytest.mark.parametrize(
    ("conditions", "line", "taken"),
    [
        ([], "anything", True),
        (["event_type=alert"], '{"event_type": "alert"}', True),
        (["event_type=alert"], '{"event_type":"flow","alert":1}', False),
        (["event_type=alert"], '{"event_type": "flow", "x": "alert"}', False),
        (["event_type=alert,anomaly"], '{"event_type": "anomaly"}', True),
        (["event_type=alert"], '{"event_type": "alert", broken', True),
        (["rule.level>=7"], '{"rule": {"level": 7}}', True),
        (["rule.level>=7"], '{"rule": {"level": "12"}}', True),
        (["rule.level>=7"], '{"rule": {"level": 6}}', False),
        (["rule.level>=7"], '{"rule": {}}', False),
        (["rule.level<=3"], '{"rule": {"level": 3}}', True),
        (["host!=lab"], '{"host": "lab"}', False),
        (["host!=lab"], '{"host": "web"}', True),
        (["host!=lab", "event_type=alert"], '{"host": "web", "event_type": "flow"}', False),
        (["alert.gid=1"], '{"alert": {"gid": 1}}', True),
    ],
)
def test_filters(conditions: list[str], line: str, taken: bool) -> None:
    assert Filter(conditions).takes(line.encode()) is taken


@pytest.mark.parametrize("wrong", ["event_type", "=x", "rule.level>=high"])
def test_a_wrong_filter_is_refused_at_once(wrong: str) -> None:
    with pytest.raises(SystemExit, match="--filter"):
        Filter([wrong])


@pytest.mark.parametrize(
    ("value", "epoch"),
    [
        ("2026-11-22T10:00:00.5+0100", 1795338000.5),
        ("2026-11-22T09:00:00Z", 1795338000.0),
        ("2026-11-22 09:00:00", 1795338000.0),
        ("2026-11-22T04:00:00-05:00", 1795338000.0),
        (1795338000, 1795338000.0),
        (1795338000500, 1795338000.5),
        ("yesterday", None),
        ("2026-13-45T10:00:00Z", None),
        (True, None),
        (None, None),
    ],
)
def test_when_a_line_says_it_happened(value: Any, epoch: float | None) -> None:
    assert epoch_of(value) == epoch
