"""Draws the figures: rates beside peers' on one scale, and what a filled database does to them; as SVG."""

from collections.abc import Iterator, Sequence
from typing import Any

from bench.figures import Figure

OURS = "Tocsin"
LEAST = 10
_INK, _GRID = "#5c6773", "#d8dde3"
_COLOURS = {OURS: "#2563a8"}
_OTHERS = ("#b9785a", "#8f9aa8", "#7f8f62")


def drawn(figures: Sequence[Figure]) -> str:
    """The plot as SVG, without what was not measured."""
    import vl_convert

    parts = [part for part in (_beside(figures), _filled(figures), _pages(figures)) if part]
    spec = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "background": "white",
        "padding": 12,
        "vconcat": parts,
        "spacing": 28,
        "resolve": {"scale": {"color": "independent"}, "legend": {"color": "independent"}},
        "config": {
            "font": "system-ui, sans-serif",
            "axis": {"labelColor": _INK, "titleColor": _INK, "gridColor": _GRID, "domainColor": _GRID,
                     "tickColor": _GRID, "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal", "labelLimit": 320},
            "legend": {"labelColor": _INK, "labelFontSize": 12, "orient": "top", "title": None},
            "title": {"anchor": "start", "color": "#1d2733", "fontSize": 14, "fontWeight": 600, "offset": 10},
            "view": {"stroke": None},
        },
    }  # fmt: skip
    return str(vl_convert.vegalite_to_svg(spec))


def _beside(figures: Sequence[Figure]) -> dict[str, Any] | None:
    rows = list(_rates(figures))
    if not rows:
        return None
    who = list(dict.fromkeys(row["who"] for row in rows))
    colours = [_COLOURS.get(name) or _OTHERS[(place - 1) % len(_OTHERS)] for place, name in enumerate(who)]
    bars = {
        "mark": {"type": "bar", "cornerRadiusEnd": 2, "height": {"band": 0.85}},
        "encoding": {
            "x2": {"datum": LEAST},  # a logarithmic scale has no zero to begin at
            "color": {"field": "who", "sort": who, "scale": {"domain": who, "range": colours}},
        },
    }
    labels = {
        "mark": {"type": "text", "align": "left", "dx": 4, "fontSize": 11, "color": _INK},
        "encoding": {"text": {"field": "value", "format": ",.3~s"}},
    }
    return {
        "title": "A second, more is better (logarithmic)",
        "data": {"values": rows},
        "width": 430,
        "height": {"step": 12},
        "encoding": {
            "y": {"field": "what", "sort": None, "title": None, "axis": {"ticks": False, "domain": False},
                  "scale": {"paddingInner": 0.3}},
            "yOffset": {"field": "who", "sort": who},
            "x": {"field": "value", "type": "quantitative", "title": None, "scale": {"type": "log", "domainMin": LEAST, "nice": True},
                  "axis": {"format": "~s", "values": [10, 100, 1000, 10000]}},
        },
        "layer": [bars, labels],
    }  # fmt: skip


def _rates(figures: Sequence[Figure]) -> Iterator[dict[str, Any]]:
    said = set()
    for figure in figures:
        if figure.rivals and figure.unit == "1/s" and figure.name not in said:
            said.add(figure.name)
            for name, value in ((OURS, figure.median), *((one.name, one.median) for one in figure.rivals)):
                if value > 0:
                    yield {"what": figure.name, "who": name, "value": value}


def _filled(figures: Sequence[Figure]) -> dict[str, Any] | None:
    return _lines(figures, "1/s", "A second, with so many alerts and incidents there already", "name")


def _pages(figures: Sequence[Figure]) -> dict[str, Any] | None:
    return _lines(figures, "ms", "Pages, p95 in ms, less is better", "name")


def _lines(figures: Sequence[Figure], unit: str, title: str, field: str) -> dict[str, Any] | None:
    rows = [
        {
            field: one.name.removeprefix("page: ").removesuffix(", p95"),
            "there": _count(one.size),
            "value": one.median,
        }
        for one in figures
        if one.measure == "filled" and one.unit == unit and one.size is not None
    ]
    if not rows:
        return None
    sizes = sorted({one.size for one in figures if one.measure == "filled" and one.size is not None})
    return {
        "title": title,
        "data": {"values": rows},
        "width": 430,
        "height": 170 if unit == "1/s" else 230,
        "mark": {"type": "line", "point": {"size": 40}, "strokeWidth": 1.8},
        "encoding": {
            "x": {"field": "there", "type": "ordinal", "sort": [_count(size) for size in sizes], "title": None,
                  "axis": {"labelAngle": 0}},
            "y": {"field": "value", "type": "quantitative", "title": None, "scale": {"zero": True}, "axis": {"tickCount": 5}},
            "color": {"field": field, "sort": None, "scale": {"scheme": "tableau10"},
                      "legend": {"orient": "right", "labelLimit": 260}},
        },
    }  # fmt: skip


def _count(size: int) -> str:
    return f"{size:,}" if size else "none"
