"""What a report format promises: a name, a media type, and bytes from the one report model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from core import plugins
from core.errors import NotFound
from reports.model import IncidentReport

Writes = Callable[[IncidentReport], bytes]

PRINTS = {
    "executive": "One page for those who decide",
    "full": "The whole report",
    "annex": "The technical annex: every alert, value and entry",
}
"""What a format that is printed can print; a name, and for whom it is."""


@dataclass(frozen=True)
class Format:
    """One way to write an incident's report; `write` is pure: the same report gives the same content.

    prints: where there are several, each of PRINTS; `write` is the full one then.
    """

    name: str
    title: str
    media_type: str
    extension: str
    write: Writes
    prints: Mapping[str, Writes] = field(default_factory=dict)

    def written(self, report: IncidentReport, of: str = "") -> bytes:
        """The report's bytes; `of` names a print. Raises NotFound naming those there are."""
        if not of:
            return self.write(report)
        if of not in self.prints:
            there = f"choose from {', '.join(self.prints)}" if self.prints else "only PDF has several"
            raise NotFound(f"There is no print {of!r} as {self.title}; {there}.")
        return self.prints[of](report)

    def filename(self, report: IncidentReport, of: str = "") -> str:
        """The name to save it under: INC-2026-000042-report.pdf, INC-2026-000042-executive.pdf."""
        of = of if of and of != "full" else "report"
        return f"{report.head.key}-{of}{'-external' if report.external else ''}.{self.extension}"


def formats() -> dict[str, Format]:
    """Every format, by name; found by walking reports/formats."""
    found: dict[str, Format] = plugins.discover("reports.formats", "format")
    return found


def get(name: str) -> Format:
    """One format. Raises NotFound naming those there are."""
    known = formats()
    if name not in known:
        raise NotFound(f"There is no report format {name!r}; choose from {', '.join(sorted(known))}.")
    return known[name]
