"""A figure that was measured, beside the mark it should reach, as a table and as JSON."""

import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True)
class Figure:
    """One measured value: its median of `values`; `mark` is what to reach, `more_is_better` says which way."""

    name: str
    database: str
    unit: str
    values: tuple[float, ...]
    mark: float | None = None
    more_is_better: bool = True
    remark: str = ""
    notes: dict[str, float | str] = field(default_factory=dict)

    @property
    def median(self) -> float:
        """The middle of what was measured."""
        return statistics.median(self.values)

    @property
    def ratio(self) -> float | None:
        """How the median stands to the mark; above 1 is better than asked."""
        if self.mark is None or not self.median:
            return None
        return self.median / self.mark if self.more_is_better else self.mark / self.median


def table(figures: Sequence[Figure]) -> str:
    """The figures as text, ratios first."""
    lines = [f"{'ratio':>7}  {'median':>10} {'mark':>8}  {'unit':<7} {'database':<11} what"]
    for figure in figures:
        ratio = f"{figure.ratio:.2f} x" if figure.ratio is not None else ""
        mark = f"{figure.mark:,.0f}" if figure.mark is not None else ""
        spread = (
            f"  [{min(figure.values):,.1f} to {max(figure.values):,.1f}]" if len(figure.values) > 1 else ""
        )
        remark = f"  {figure.remark}" if figure.remark else ""
        lines.append(
            f"{ratio:>7}  {figure.median:>10,.1f} {mark:>8}  {figure.unit:<7} {figure.database:<11} "
            f"{figure.name}{spread}{remark}"
        )
    return "\n".join(lines)


def machine() -> dict[str, str | int | None]:
    """What it was measured on."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
    }


def write(path: Path, figures: Sequence[Figure]) -> None:
    """Keep the figures as JSON."""
    rows = [
        {
            "name": f.name, "database": f.database, "unit": f.unit, "median": f.median, "values": list(f.values),
            "mark": f.mark, "ratio": f.ratio, "more_is_better": f.more_is_better, "remark": f.remark, **f.notes,
        }
        for f in figures
    ]  # fmt: skip
    path.write_text(json.dumps({"machine": machine(), "figures": rows}, indent=2) + "\n", encoding="utf-8")
