"""The report as one HTML file that needs nothing else: no script, no font, no address that a reader's browser would open."""

from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from reports import printed
from reports.contract import Format
from reports.model import IncidentReport

_TEMPLATES = Path(__file__).parents[1] / "templates"


@lru_cache(maxsize=1)
def _template() -> Template:
    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return made.get_template("report.html")


def write(report: IncidentReport) -> bytes:
    """HTML in UTF-8; texts are escaped, and what steers or hides in them is shown by its code."""
    return _template().render(d=printed.worded(report)).encode("utf-8", "replace")


format = Format("html", "HTML", "text/html; charset=utf-8", "html", write)  # noqa: A001 - what the registry looks for
