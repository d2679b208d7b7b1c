"""A figure that was measured, beside the mark it should reach and what peers gave, as a table and as JSON."""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Rival:
    """What another product gave for the same item, in the same unit, in turn with ours."""

    name: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle of what was measured."""
        return statistics.median(self.values)


@dataclass(frozen=True)
class Figure:
    """One item of a measure: our values, their median; `mark` is what to reach, `more_is_better` says which way.

    `shape` is how Tocsin ran ("PostgreSQL, web + 1 worker"); `size` is what the item grows with, when it does.
    """

    measure: str
    name: str
    shape: str
    unit: str
    values: tuple[float, ...]
    mark: float | None = None
    more_is_better: bool = True
    rivals: tuple[Rival, ...] = ()
    size: int | None = None
    notes: Mapping[str, float | str] = field(default_factory=dict)

    @property
    def median(self) -> float:
        """The middle of what was measured."""
        return statistics.median(self.values)

    @property
    def ratio(self) -> float | None:
        """How the median stands to the mark; above 1 is better than asked."""
        return None if self.mark is None else self._better_by(self.mark)

    def over(self, rival: Rival) -> float | None:
        """How many times better than this rival; below 1 is worse."""
        return self._better_by(rival.median)

    def _better_by(self, other: float) -> float | None:
        if not self.median or not other:
            return None
        return self.median / other if self.more_is_better else other / self.median


def times(ratio: float | None) -> str:
    """A ratio as people read it: 12.3 ×."""
    return "" if ratio is None else f"{ratio:.0f} ×" if ratio >= 20 else f"{ratio:.2g} ×"


def amount(value: float) -> str:
    """A measured value without digits that mean nothing."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 1 else f"{value:.2f}"


def table(figures: Sequence[Figure]) -> str:
    """The figures as text, ratios first."""
    lines = [f"{'to mark':>8} {'to peer':>8} {'median':>10} {'mark':>8}  {'unit':<5} what"]
    for figure in figures:
        mark = "" if figure.mark is None else amount(figure.mark)
        said = f"{figure.name} ({figure.shape})"
        if len(figure.values) > 1:
            said += f"  [{amount(min(figure.values))} to {amount(max(figure.values))}]"
        said += "".join(f"  {name}: {_told(value)}" for name, value in figure.notes.items())
        first = figure.rivals[0] if figure.rivals else None
        beside = times(figure.over(first)) if first else ""
        lines.append(
            f"{times(figure.ratio):>8} {beside:>8} {amount(figure.median):>10} {mark:>8}  {figure.unit:<5} {said}"
        )
        lines += [
            f"{'':>8} {times(figure.over(rival)):>8} {amount(rival.median):>10} {'':>8}  {figure.unit:<5} "
            f"  {rival.name}  [{amount(min(rival.values))} to {amount(max(rival.values))}]"
            for rival in figure.rivals
        ]
    return "\n".join(lines)


def write(path: Path, machine: Mapping[str, Any], figures: Sequence[Figure]) -> None:
    """Keep the figures as JSON; medians and ratios stand beside the values they come from."""
    rows = []
    for figure in figures:
        row = asdict(figure) | {"median": figure.median, "ratio": figure.ratio, "notes": dict(figure.notes)}
        row["rivals"] = [
            asdict(rival) | {"median": rival.median, "ratio": figure.over(rival)} for rival in figure.rivals
        ]
        rows.append(row)
    path.write_text(json.dumps({"machine": machine, "figures": rows}, indent=2) + "\n", encoding="utf-8")


def read(path: Path) -> tuple[dict[str, Any], list[Figure]]:
    """The machine and the figures of a file that write() made."""
    kept = json.loads(path.read_text(encoding="utf-8"))
    found = []
    for row in kept["figures"]:
        rivals = tuple(Rival(one["name"], tuple(one["values"])) for one in row.pop("rivals"))
        values = tuple(row.pop("values"))
        known = {name: row[name] for name in Figure.__dataclass_fields__ if name in row}
        found.append(Figure(**known, values=values, rivals=rivals))
    return kept["machine"], found


def _told(value: float | str) -> str:
    return value if isinstance(value, str) else amount(value)
