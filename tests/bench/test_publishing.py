"""Figures outlive their file; the page gets them between its marks, ratios first, and a plot of them."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bench import figures, plot, publish
from bench.figures import Figure, Rival

MACHINE = {
    "at": "2026-11-22T14:00:00+00:00", "cores": 2, "processor": "a processor", "memory GiB": 24, "system": "Linux 6",
    "python": "3.11.7", "PostgreSQL": "18.6", "client": "wrk", "flush ms": 0.12, "busy before": 0.02, "rounds": 5,
    "seconds": 4.0,
}  # fmt: skip
FOUND = [
    Figure("accepts", "alerts accepted", "web", "1/s", (900.0, 1000.0, 1200.0), 5000, rivals=(Rival("Peer 1", (90.0, 110.0, 100.0)),)),
    Figure("accepts", "alerts accepted, p99", "web", "ms", (10.0,), 50, more_is_better=False, rivals=(Rival("Peer 1", (240.0,)),)),
    *(Figure("filled", "alerts accepted", "web", "1/s", (1000.0 - size / 1000,), 5000, size=size) for size in (0, 10_000)),
    *(Figure("filled", "page: Now, p95", "web", "ms", (9.0,), 50, more_is_better=False, size=size) for size in (0, 10_000)),
]  # fmt: skip


def test_a_ratio_above_one_is_better_whichever_way_is_better() -> None:
    assert FOUND[0].ratio == pytest.approx(0.2)
    assert FOUND[0].over(FOUND[0].rivals[0]) == pytest.approx(10)
    assert FOUND[1].ratio == pytest.approx(5)
    assert FOUND[1].over(FOUND[1].rivals[0]) == pytest.approx(24)


def test_figures_outlive_their_file(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    figures.write(path, MACHINE, FOUND)
    assert figures.read(path) == (MACHINE, FOUND)
    row = json.loads(path.read_text())["figures"][0]
    assert (row["median"], row["ratio"], row["rivals"][0]["ratio"]) == (1000.0, 0.2, 10.0)


def test_the_text_shows_the_ratios_first() -> None:
    lines = figures.table(FOUND).splitlines()
    assert lines[1].split()[:6] == ["0.2", "×", "10", "×", "1,000", "5,000"]
    assert "Peer 1" in lines[2]


def test_the_page_keeps_its_text_and_gets_the_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, picture, results = tmp_path / "page.md", tmp_path / "plot.svg", tmp_path / "results.json"
    page.write_text(f"# Before\n\n{publish.BEGIN}\nold\n{publish.END}\n\nAfter.\n")
    monkeypatch.setattr(publish, "PAGE", page)
    monkeypatch.setattr(publish, "PICTURE", picture)
    figures.write(results, MACHINE, FOUND)
    publish.main([str(results)])
    text = page.read_text()
    assert text.startswith("# Before\n\n<!--")
    assert text.endswith("-->\n\nAfter.\n")
    assert "old" not in text
    row = next(
        line for line in text.splitlines() if "alerts accepted<" in line or "| alerts accepted |" in line
    )
    assert [cell.strip() for cell in row.split("|")][1:3] == ["0.2 ×", "10 ×"]
    assert "| alerts accepted (web) | 1,000/s | 990/s | ≥ 5,000/s |" in text
    assert "short run" not in text
    again = page.read_text()
    publish.main([str(results)])
    assert page.read_text() == again
    assert ET.fromstring(picture.read_text()).tag.endswith("svg")


def test_a_busy_machine_is_told() -> None:
    assert "short run while other work used 60%" in publish.section(MACHINE | {"busy before": 0.6}, FOUND)


def test_a_page_without_marks_is_left_alone() -> None:
    with pytest.raises(SystemExit, match="once each"):
        publish.filled_in("no marks", MACHINE, FOUND)


def test_the_plot_names_who_and_what() -> None:
    drawn = plot.drawn(FOUND)
    assert all(word in drawn for word in ("Tocsin", "Peer 1", "alerts accepted", "10,000", "Now"))
    assert "http" not in drawn.replace("http://www.w3.org", "")


def test_the_guide_has_its_marks() -> None:
    page = publish.PAGE.read_text(encoding="utf-8")
    assert page.count(publish.BEGIN) == page.count(publish.END) == 1
