"""A sample's times move together, whatever form and zone they are written in."""

import inspect
import re
from datetime import UTC, datetime, timedelta

import pytest

from cli import demo_case, demo_past, demonstration
from cli.sample_times import moved_to
from connectors import mapping, registry

NOW = datetime(2026, 11, 22, 9, 30, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("body", "moved"),
    [
        (b'{"a": "2026-01-01T00:00:00Z"}', b'{"a": "2026-11-22T09:30:00Z"}'),
        (b'{"a": "2026-01-01T01:00:00.250+0100"}', b'{"a": "2026-11-22T10:30:00.250+0100"}'),
        (b'{"a": "2026-01-01 00:00:00", "b": "2026-01-01T00:00:10Z"}', b'{"a": "2026-11-22 09:29:50", "b": "2026-11-22T09:30:00Z"}'),
        (b'{"a": 1767225600}', b'{"a": 1795339800}'),
        (b'{"a": "1767225600.5"}', b'{"a": "1795339800.5"}'),
        (b'{"a": "never"}', b'{"a": "never"}'),
    ],
)  # fmt: skip
def test_the_newest_time_becomes_now_and_the_rest_keeps_its_distance(body: bytes, moved: bytes) -> None:
    assert moved_to(body, NOW) == moved


def test_no_alert_of_the_demo_is_late_once_moved() -> None:
    script = "".join(inspect.getsource(one) for one in (demonstration, demo_past, demo_case))
    posted = re.findall(r'_post\(stage, "(\w+)", "([\w.-]+)"|\("(\w+)", "([\w-]+\.\w+)"\)|sends\(\d+, "(\w+)", "([\w.-]+)"', script)
    assert len(posted) == 9
    for tool, sample in ([word for word in found if word] for found in posted):
        connector = registry.get(tool)
        (known,) = [one for one in connector.samples if one.name == sample]
        body = moved_to(known.body, NOW)
        for draft in mapping.read(connector, body, known.content_type, known.headers, known.config).drafts:
            if draft.occurred_at is not None:
                assert timedelta(seconds=-1) < NOW - draft.occurred_at < timedelta(hours=1), (
                    f"{tool}/{sample}"
                )
