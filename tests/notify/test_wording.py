"""Text fit for a notification: short, one line where it must be, no live hostile links."""

from datetime import UTC, datetime
from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from core.types import Severity
from notify.contract import Outgoing
from notify.wording import block, disarmed, headline, one_line, two_lines


def test_two_lines_is_what_a_page_may_tell() -> None:
    assert two_lines("\n first \n\n second\nthird") == "first\nsecond"


def test_urls_are_disarmed_whatever_their_case() -> None:
    assert disarmed("see HTTPS://Evil.example/a.b now") == "see hxxPS://Evil[.]example/a[.]b now"
    assert disarmed("ftp://x.example") == "fxp://x[.]example"
    assert disarmed("http.server restarted") == "http.server restarted"


def test_a_headline_has_no_line_break_or_direction_trick() -> None:
    outgoing = Outgoing(
        uuid4(),
        "page",
        "a\r\nBcc: x\u202egpj",
        "",
        Severity.critical,
        datetime.now(UTC),
        "http://tocsin.test/",
    )
    assert headline(outgoing) == "CRITICAL: a Bcc: x gpj"


@given(st.text(max_size=400), st.integers(2, 60))
def test_limits_hold(text: str, limit: int) -> None:
    assert len(one_line(text, limit)) <= limit
    assert len(block(text, limit)) <= limit
    assert "\n" not in one_line(text, limit)
