"""What the browser tests share: one Chromium for each file, with a fresh profile."""

from collections.abc import Iterator

import in_chromium
import pytest
from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A Chromium for the tests of one file."""
    with in_chromium.chromium() as browser:
        yield browser
