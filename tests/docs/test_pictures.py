"""The pictures of README and of the manual are there, are small, and none lies about unused."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "pictures"
MOST_BYTES = 120_000
SHOWING = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_LINK = re.compile(r"!\[(?P<alt>[^\]]*)\]\((?P<to>[^)\s]+)\)|(?:src|srcset)=\"(?P<html>[^\"]+)\"")


def shown(document: Path) -> dict[Path, str]:
    """The pictures of ours that a document shows, each with what is said for those who do not see it."""
    found = {}
    for link in _LINK.finditer(document.read_text(encoding="utf-8")):
        to = link["to"] or link["html"]
        if not to.startswith("http"):
            found[(document.parent / to).resolve()] = link["alt"] if link["to"] else "by its img"
    return found


@pytest.mark.parametrize("document", SHOWING, ids=lambda path: path.name)
def test_each_picture_that_is_linked_exists_and_says_what_it_shows(document: Path) -> None:
    for picture, alt in shown(document).items():
        assert picture.is_file(), f"{document.name} shows {picture.name}: make screenshots ARGS=--docs"
        assert alt, f"{document.name}: say in words what {picture.name} shows"


def test_no_picture_is_too_big_or_unused() -> None:
    used = {picture for document in SHOWING for picture in shown(document)}
    there = {path.resolve() for path in PICTURES.iterdir()}
    assert there <= used, f"nothing shows {sorted(path.name for path in there - used)}"
    too_big = {path.name: path.stat().st_size for path in there if path.stat().st_size > MOST_BYTES}
    assert not too_big


@pytest.mark.parametrize("name", ["operate", "alerts", "playbooks", "reporting", "responder", "on-call", "manager"])
def test_each_guide_shows_what_it_speaks_of(name: str) -> None:
    assert shown(ROOT / "docs" / f"{name}.md")
