"""The report as JSON: the data model as it is, times in ISO 8601 UTC."""

import msgspec

from reports.contract import Format
from reports.model import IncidentReport


def write(report: IncidentReport) -> bytes:
    """JSON, indented; field names are those of `reports.model`."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"


format = Format("json", "JSON", "application/json", "json", write)  # noqa: A001 - what the registry looks for
