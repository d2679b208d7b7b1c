"""Reports: which incidents can be reported, one report as a page that prints well, and its files."""

from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response

from core import access, clock
from core.actors import Actor
from core.db import reading
from incidents import queries as record
from incidents.filters import IncidentFilter
from incidents.models import Incident
from reports import contract, incident, lanes
from reports.contract import Format
from reports.lanes import Row
from reports.model import IncidentReport
from web import keyset
from web.markdown import to_page
from web.pages import Page, show
from web.security import allowed

router = APIRouter(include_in_schema=False)


@dataclass(kw_only=True)
class ReportsPage(Page, template="reports.html", rail="reports"):
    """Incidents, each with the files of its report."""

    incidents: list[Incident]
    formats: list[Format]
    closed: bool
    next: str | None
    first: str | None


@dataclass(kw_only=True)
class ReportPage(Page, template="report.html", rail="reports"):
    """One incident's report."""

    report: IncidentReport
    comments: list[tuple[Any, str]]
    formats: list[Format]
    bars: list[tuple[str, float, float]]
    prints: list[tuple[str, str]]
    lanes: list[Row]
    left_out: int
    and_external: str


@router.get("/reports")
def everything(request: Request, actor: Actor = allowed("incident.read")) -> Response:
    """Incidents newest first; `?state=closed` only those that are over."""
    given = request.query_params
    closed = given.get("state") == "closed"
    after = given.get("after")
    with reading() as session:
        found = record.incidents(
            session, actor, IncidentFilter(state="closed" if closed else "all"), before=after or None
        )
    page = ReportsPage(
        incidents=found.items,
        formats=list(contract.formats().values()),
        closed=closed,
        next=keyset.address("/reports", given, after=found.next) if found.next else None,
        first=keyset.address("/reports", given) if after else None,
    )
    return show(request, page)


@router.get("/reports/{key}")
def one(
    request: Request, key: str, external: bool = False, actor: Actor = allowed("incident.read")
) -> Response:
    """The report as a page; `?external=1` for people outside."""
    with reading() as session:
        report = incident.build(session, actor, key, now=clock.now(), external=external)
    rows, left_out = lanes.beside(report)
    page = ReportPage(
        report=report,
        comments=[(comment, to_page(comment.body)) for comment in report.comments],
        formats=list(contract.formats().values()),
        bars=durations(report),
        prints=list(contract.PRINTS.items()),
        lanes=rows,
        left_out=left_out,
        and_external="&external=1" if external else "",
    )
    return show(request, page)


def durations(report: IncidentReport) -> list[tuple[str, float, float]]:
    """The key times as (name, seconds after the opening, share of the longest), for a small chart."""
    known = [(time.says, time.after_seconds) for time in report.times if time.after_seconds is not None and time.after_seconds >= 0]
    longest = max((after for _says, after in known), default=0.0) or 1.0
    return [(says, after, after / longest) for says, after in known]


@router.get("/reports/{key}/{format_name}")
def file(
    key: str,
    format_name: str,
    of: Annotated[str, Query(alias="print")] = "",
    external: bool = False,
    actor: Actor = allowed("incident.read"),
) -> Response:
    """The report as a file; `?print=executive` names a print, `?external=1` puts roles in the place of names."""
    wanted = contract.get(format_name)
    with reading() as session:
        report = incident.build(session, actor, key, now=clock.now(), external=external)
        about = record.incident(session, actor, key)
    access.note(actor, "took the report of", about.ref, about.key, within=about.id)
    content = wanted.written(report, of)
    name = quote(wanted.filename(report, of))
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{name}", "Cache-Control": "no-store"}
    return Response(content, media_type=wanted.media_type, headers=headers)
