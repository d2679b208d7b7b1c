"""The report as PDF, set by Typst from templates of ours; the data never becomes markup."""

from functools import partial
from pathlib import Path

import msgspec

from reports import printed
from reports.contract import PRINTS, Format
from reports.model import IncidentReport

_TEMPLATES = Path(__file__).parents[1] / "templates"


def write(report: IncidentReport, of: str = "full") -> bytes:
    """PDF (A4) of one of reports.contract.PRINTS; needs no network and no system library."""
    import typst  # here, since only this format pays for loading it

    data = msgspec.json.encode(printed.worded(report)).decode()
    at = report.made_at.replace(microsecond=0)  # Typst takes whole seconds only
    return bytes(
        typst.compile(
            str(_TEMPLATES / f"{of}.typ"), root=str(_TEMPLATES), sys_inputs={"data": data}, timestamp=at
        )
    )


format = Format(  # noqa: A001 - what the registry looks for
    "pdf", "PDF", "application/pdf", "pdf", write, {of: partial(write, of=of) for of in PRINTS}
)
