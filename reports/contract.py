"""What a report format promises: a name, a media type, and bytes from the one report model."""

from collections.abc import Callable
from dataclasses import dataclass

from core import plugins
from core.errors import NotFound
from reports.model import IncidentReport


@dataclass(frozen=True)
class Format:
    """One way to write an incident's report; `write` is pure: the same report gives the same content."""

    name: str
    title: str
    media_type: str
    extension: str
    write: Callable[[IncidentReport], bytes]

    def filename(self, report: IncidentReport) -> str:
        """The name to save it under: INC-2026-000042-report.pdf."""
        return f"{report.head.key}-report.{self.extension}"


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
