"""`python -m bench.publish results.json`: puts measured figures and their plot into docs/benchmarks.md, between its marks."""

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import figures, plot
from bench.figures import Figure, amount, times
from bench.installation import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
PICTURE = ROOT / "docs" / "pictures" / "benchmarks.svg"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
TITLES = {
    "accepts": "Alerts accepted",
    "through": "Alerts through to incidents",
    "steps": "Steps of playbooks",
    "effects": "Steps that call a product",
    "handover": "From a webhook to a page handed over",
    "workers": "From one process to two",
    "hanging": "With a Redis that hangs",
    "filled": "With a filled database",
    "soak": "At the limit for long",
    "verified": "The journal proved and sealed",
}
_QUIET = 0.15


def main(arguments: list[str] | None = None) -> None:
    """Write the page and the picture anew; the text outside the marks stays."""
    parser = argparse.ArgumentParser(prog="python -m bench.publish", description=__doc__)
    parser.add_argument(
        "results", type=Path, nargs="+", help="what `make bench OUT=results.json` has written"
    )
    given = parser.parse_args(arguments)
    machine: dict[str, Any] = {}
    found: list[Figure] = []
    for path in given.results:  # a soak of its own adds to the usual run
        there, more = figures.read(path)
        machine = machine or there
        found = [one for one in found if one.measure not in {new.measure for new in more}] + more
    PAGE.write_text(filled_in(PAGE.read_text(encoding="utf-8"), machine, found), encoding="utf-8")
    PICTURE.write_text(plot.drawn(found), encoding="utf-8")


def filled_in(page: str, machine: Mapping[str, Any], found: Sequence[Figure]) -> str:
    """The page with the section between the marks replaced."""
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        raise SystemExit(f"the page must have {BEGIN} and {END} once each")
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n{section(machine, found)}\n{END}{tail}"


def section(machine: Mapping[str, Any], found: Sequence[Figure]) -> str:
    """Machine, plot and one table for each measure, as Markdown."""
    parts = [
        _measured_on(machine),
        "![Rates beside peers, and with a filled database](pictures/benchmarks.svg)\n",
    ]
    for measure, title in TITLES.items():
        of_it = [one for one in found if one.measure == measure]
        if of_it:
            parts.append(f"### {title}\n")
            parts.append(_growing(of_it) if measure == "filled" else "\n".join(_table(of_it)) + "\n")
    return "\n".join(parts)


def _measured_on(machine: Mapping[str, Any]) -> str:
    busy = float(machine.get("busy before", 0))
    said = (
        f"Measured {str(machine['at'])[:16].replace('T', ' ')} UTC on {machine['cores']} cores of {machine['processor']}, "
        f"{machine['memory GiB']} GiB, {machine['system']}, Python {machine['python']}, PostgreSQL {machine['PostgreSQL']}; "
        f"client: {machine['client']}; writing 8 KiB and flushing it to disk takes {machine['flush ms']:g} ms. "
        f"Medians of {machine['rounds']} rounds of {machine['seconds']:g} s."
    )
    if busy > _QUIET:
        said += (
            f"\n\n**This was a short run while other work used {busy:.0%} of the machine's time: it shows that every measure "
            "works, not how fast Tocsin is.**"
        )
    return said + "\n"


def _table(found: Sequence[Figure]) -> Iterator[str]:
    rivals = list(dict.fromkeys(rival.name for one in found for rival in one.rivals))
    head = [
        "to its mark",
        *(f"to {name}" for name in rivals),
        "what",
        "Tocsin",
        *rivals,
        "mark",
        "how Tocsin ran",
    ]
    yield "| " + " | ".join(head) + " |"
    yield "|" + "|".join(" --- " if name in ("what", "how Tocsin ran") else " ---: " for name in head) + "|"
    for one in found:
        beside = {rival.name: rival for rival in one.rivals}
        cells = [
            times(one.ratio),
            *(times(one.over(beside[name])) if name in beside else "" for name in rivals),
            one.name + _noted(one),
            f"**{_with_unit(one.median, one.unit)}**{_spread(one.values)}",
            *(
                _with_unit(beside[name].median, one.unit) + _spread(beside[name].values)
                if name in beside
                else ""
                for name in rivals
            ),
            ""
            if one.mark is None
            else f"{'≥' if one.more_is_better else '≤'} {_with_unit(one.mark, one.unit)}",
            one.shape,
        ]
        yield "| " + " | ".join(cells) + " |"


def _growing(found: Sequence[Figure]) -> str:
    """One line for each item, one column for each size."""
    sizes = sorted({one.size for one in found if one.size is not None})
    head = ["what", *(f"{size:,} there" if size else "empty" for size in sizes), "mark"]
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(sizes) + 1)]
    for name in dict.fromkeys(one.name for one in found):
        at = {one.size: one for one in found if one.name == name}
        first = next(iter(at.values()))
        cells = [_with_unit(at[size].median, first.unit) if size in at else "" for size in sizes]
        mark = (
            ""
            if first.mark is None
            else f"{'≥' if first.more_is_better else '≤'} {_with_unit(first.mark, first.unit)}"
        )
        lines.append("| " + " | ".join([f"{name} ({first.shape})", *cells, mark]) + " |")
    return "\n".join(lines) + "\n"


def _with_unit(value: float, unit: str) -> str:
    return amount(value) + {"1/s": "/s", "": ""}.get(unit, f" {unit}")


def _spread(values: Sequence[float]) -> str:
    return f" ({amount(min(values))}–{amount(max(values))})" if len(values) > 1 else ""


def _noted(one: Figure) -> str:
    said = [
        f"{name}: {value if isinstance(value, str) else amount(value)}" for name, value in one.notes.items()
    ]
    return f"<br><small>{re.sub(r'[|]', '/', '; '.join(said))}</small>" if said else ""


if __name__ == "__main__":
    main()
