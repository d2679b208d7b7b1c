"""Durable work: what is due, what runs, and what is stuck."""

from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter, Request, Response

from core import backlog, parked
from core.actors import Actor
from core.db import reading, unit_of_work
from core.parked import Parked
from core.backlog import Count
from incidents import paging
from web import keyset, stuck
from web.languages import gettext as _
from web.pages import Page, show, then
from web.security import Form, allowed

router = APIRouter(include_in_schema=False)

HERE = "/settings/work"

# Where a stuck row can be looked at, by its kind of work.
PLACES = {
    "connectors.calls": "/calls/",
    "ingest.deliveries": "/quarantine/",
    "notify.pages": "/pages/",
    "playbooks.runs": "/runs/",
}


@dataclass(kw_only=True)
class WorkPage(Page, template="work.html", rail="settings"):
    """Every kind of work, and the rows that wait for a person."""

    counts: list[Count]
    waiting: int
    stuck: list[Parked]
    hidden: int
    total: int
    next: str | None
    first: str | None
    places: dict[str, str]
    may_manage: bool


@router.get("/settings/work")
def everything(request: Request, after: str = "", actor: Actor = allowed("incident.read")) -> Response:
    """All work."""
    with reading() as session:
        counts = backlog.counts(session)
        before = paging.read_cursor(after) if after else None
        found = stuck.stuck(session, actor, limit=keyset.SIZE, before=before)
    page = WorkPage(
        counts=sorted(counts, key=lambda one: (-one.parked, -one.due, one.name)),
        waiting=sum(one.due for one in counts),
        stuck=found.rows,
        hidden=found.hidden,
        total=sum(one.parked for one in counts),
        next=f"{HERE}?after={paging.cursor(*found.next)}" if found.next else None,
        first=HERE if after else None,
        places=PLACES,
        may_manage=actor.may("work.manage"),
    )
    return show(request, page)


@router.post("/settings/work/replay")
def replay(form: Form, actor: Actor = allowed("work.manage")) -> Response:
    """Try stuck rows again."""
    rows = [_row(text) for text in form.many("row")]
    with unit_of_work() as uow:
        stuck.require_seen(uow, actor, rows)
        for kind, row in rows:
            parked.replay(uow, actor, kind, row)
    if not rows:
        return then(HERE, _("Nothing was ticked."))
    return then(
        HERE,
        _("%(n)s is tried again.") % {"n": len(rows)}
        if len(rows) == 1
        else _("%(n)s are tried again.") % {"n": len(rows)},
    )


def _row(text: str) -> tuple[str, UUID]:
    kind, _colon, row = text.partition(":")
    try:
        return kind, UUID(row)
    except ValueError:
        return kind, UUID(int=0)
