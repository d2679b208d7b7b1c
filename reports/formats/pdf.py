"""The report as PDF, set by Typst from a template of ours; the data never becomes markup."""

from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from reports.contract import Format
from reports.model import IncidentReport
from reports.wording import duration, moment

_TEMPLATE = Path(__file__).parents[1] / "templates" / "incident.typ"


def write(report: IncidentReport) -> bytes:
    """PDF (A4); needs no network and no system library."""
    import typst  # here, since only this format pays for loading it

    data = msgspec.json.encode(_worded(report)).decode()
    at = report.made_at.replace(microsecond=0)  # Typst takes whole seconds only
    return bytes(typst.compile(_TEMPLATE.read_bytes(), sys_inputs={"data": data}, timestamp=at))


def _worded(report: IncidentReport) -> dict[str, Any]:
    data: dict[str, Any] = msgspec.to_builtins(report, builtin_types=(datetime,))
    total = max((t.after or 0 for t in report.times), default=0)
    for time in data["times"]:
        time["position"] = time["after"] / total if total and time["after"] is not None else None
        time["after"] = duration(time["after"])
    for page in data["pages"]:
        for name in ("sent_ms", "acknowledged_ms"):
            page[name] = duration(page[name] / 1000) if page[name] is not None else "—"
    data["automatic"], data["by_hand"] = len(report.automatic), len(report.by_hand)
    return _moments(data)  # type: ignore[no-any-return]  # a dict stays a dict


def _moments(value: Any) -> Any:
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, dict):
        return {name: _moments(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_moments(item) for item in value]
    return value


format = Format("pdf", "PDF", "application/pdf", "pdf", write)  # noqa: A001 - what the registry looks for
