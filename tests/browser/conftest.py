"""What the browser tests share: one Chromium and one running Tocsin for each file, one Chromium at a time."""

from collections.abc import Iterator

import in_chromium
import pytest
from playwright.sync_api import Browser


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """They wait for a browser more than they think; all in one process, so that they do not starve each other."""
    for item in items:
        if "/browser/" in item.nodeid:
            item.add_marker(pytest.mark.xdist_group("chromium"))
            item.add_marker(pytest.mark.servers)
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A Chromium for the tests of one file."""
    with in_chromium.chromium() as browser:
        yield browser
