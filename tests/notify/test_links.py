"""Acknowledge links: theirs alone, for that page alone, for two days."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from core.errors import Invalid
from core.secrets import sign
from core.settings import Settings, configure
from notify.links import GOOD_FOR, Link, ack_link, from_link

PAGE, ANA = UUID(int=1), UUID(int=2)


@pytest.fixture(autouse=True)
def _key(test_settings: Settings) -> None:
    configure(test_settings)


def test_a_link_says_whose_and_which() -> None:
    path = ack_link(PAGE, ANA)
    assert path.startswith("/a/")
    assert from_link(path.removeprefix("/a/")) == Link(PAGE, ANA)


def test_altered_expired_and_foreign_links_are_refused() -> None:
    token = ack_link(PAGE, ANA).removeprefix("/a/")
    payload = {"page": str(PAGE), "user": str(ANA)}
    for wrong in (
        token[:-4],
        token + "x",
        sign("page.ack", payload, -1),
        sign("auth.start", payload, GOOD_FOR),
    ):
        with pytest.raises(Invalid, match="link"):
            from_link(wrong)


def test_links_are_good_for_two_days() -> None:
    assert GOOD_FOR == 48 * 3600
    assert datetime.fromtimestamp(GOOD_FOR, UTC).day == 3
