"""Incidents: the list with its filters, and what is done to several at once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy import select
from starlette.datastructures import QueryParams

from core import lookback
from core.actors import Actor
from core.auth import users
from core.auth.models import User
from core.db import reading, unit_of_work
from core.errors import Invalid, NotFound, TocsinError
from core.types import Severity
from incidents import closing, lifecycle, queries, queueing, views
from incidents.closing import Closing
from incidents.filters import IncidentFilter
from incidents.models import Incident
from incidents.stages import MEANING, Confirmation, Stage
from incidents.view_models import SavedView
from incidents.visibility import as_id, visible_to
from web import keyset
from web.languages import gettext as _
from web.pages import Page, show, then
from web.security import Fields, Form, allowed

router = APIRouter(include_in_schema=False)

Chips = list[tuple[str, list[tuple[str, str, bool]]]]


@dataclass(kw_only=True)
class IncidentsPage(Page, template="incidents.html", rail="incidents"):
    """A page of the list."""

    incidents: list[Incident]
    owners: dict[UUID, str]
    people: list[User]
    dispositions: list[tuple[str, str]]
    counts: dict[str, int]
    without_owner: int
    total: int
    most: int
    looked_at: int
    chips: Chips
    filtered: bool
    ever: bool
    may_edit: bool
    may_close: bool
    may_open: bool
    views: Sequence[SavedView]
    query: str
    next: str | None
    first: str | None


def severity_words() -> dict[str, str]:
    """Severities, worst first, as people call them."""
    return {
        "critical": _("Critical"),
        "high": _("High"),
        "medium": _("Medium"),
        "low": _("Low"),
        "info": _("Info"),
        "unknown": _("Unknown"),
    }


def wanted(given: QueryParams) -> IncidentFilter:
    """What the address asks for; words that mean nothing here do not narrow. Raises Invalid."""
    owner = given.get("owner") or None
    if owner not in (None, "me", "none") and as_id(owner) is None:
        raise Invalid(_("This is not a person's id: %(id)s") % {"id": owner})

    def known(name: str, words: Iterable[str]) -> list[str]:
        return [value] if (value := given.get(name, "")) in set(words) else []

    confirmation = known("confirmation", Confirmation)
    return IncidentFilter(
        state=given["state"] if given.get("state") in ("closed", "all") else "open",
        severities=known("severity", Severity),
        stages=known("stage", Stage),
        confirmation=confirmation[0] if confirmation else None,
        category=given.get("category") or None,
        source=given.get("source") or None,
        owner=owner,
    )


@router.get("/incidents")
def everything(request: Request, actor: Actor = allowed("incident.read")) -> Response:
    """Incidents newest first."""
    given = request.query_params
    after = given.get("after") or None
    with reading() as session:
        found = queries.incidents(session, actor, wanted(given), before=after)
        opened = queries.open_counts(session, actor)
        ever = (
            bool(opened.by_severity)
            or session.scalar(select(Incident.id).where(visible_to(actor)).limit(1)) is not None
        )
        people = [user for user in users.everyone(session) if user.disabled_at is None]
        names = users.names(session)
        kept = views.of_list(session, actor, "incidents")
    page = IncidentsPage(
        views=kept,
        query=keyset.address("", given).removeprefix("?"),
        incidents=found.items,
        owners=names,
        people=people,
        dispositions=[(disposition.value, says) for disposition, says in MEANING.items()],
        counts=opened.by_severity,
        without_owner=opened.unowned,
        total=opened.total,
        most=queries.MOST_COUNTED,
        looked_at=lookback.AT_ONCE,
        chips=_chips(request),
        filtered=any(value for name, value in given.items() if name != "after"),
        ever=ever,
        may_edit=actor.may("incident.edit"),
        may_close=actor.may("incident.close"),
        may_open=actor.may("incident.open"),
        next=keyset.address("/incidents", given, after=found.next) if found.next else None,
        first=keyset.address("/incidents", given) if after else None,
    )
    return show(request, page)


def _chips(request: Request) -> Chips:
    given = request.query_params

    def chip(name: str, value: str, word: str) -> tuple[str, str, bool]:
        on = given.get(name, "") == value
        return (keyset.address("/incidents", given, **{name: None if on and value else value}), word, on)

    return [
        (
            _("State"),
            [
                chip("state", "", _("Open")),
                chip("state", "closed", _("Closed")),
                chip("state", "all", _("All")),
            ],
        ),
        (_("Severity"), [chip("severity", value, word) for value, word in severity_words().items()]),
        (_("Owner"), [chip("owner", "me", _("Me")), chip("owner", "none", _("Nobody"))]),
        (
            _("Confirmed"),
            [
                chip("confirmation", "declared", _("Declared")),
                chip("confirmation", "unconfirmed", _("Not yet")),
            ],
        ),
    ]


# ---------------------------------------------------------------------------------------------- several at once


@router.post("/incidents/next")
def take_next(actor: Actor = allowed("incident.edit")) -> Response:
    """Take the oldest of the highest severity that nobody owns."""
    try:
        with unit_of_work() as uow:
            key = queueing.take_next(uow, actor).key
    except NotFound:
        return then("/incidents", _("Every open incident has an owner."))
    return then(f"/incidents/{key}", _("It is yours."))


@router.post("/incidents/assign")
def assign(form: Form, actor: Actor = allowed("incident.edit")) -> Response:
    """Give several incidents one owner."""
    ids = _ticked(form)
    wanted = form.get("owner")
    owner = actor.user_id if wanted == "me" else UUID(wanted) if wanted and wanted != "none" else None
    done, failed = _each(ids, lambda uow, incident: lifecycle.assign(uow, actor, incident, owner))
    return then("/incidents", _outcome(done, failed))


@router.post("/incidents/close")
def close(form: Form, actor: Actor = allowed("incident.close")) -> Response:
    """Close several incidents with one disposition."""
    ids = _ticked(form)
    said = Closing(
        disposition=form.need("disposition", _("Say what it was.")), summary=form.get("summary") or None
    )
    done, failed = _each(ids, lambda uow, incident: closing.close(uow, actor, incident, said))
    return then("/incidents", _outcome(done, failed))


def _ticked(form: Fields) -> list[UUID]:
    try:
        ids = [UUID(value) for value in form.many("incident")]
    except ValueError as error:
        raise Invalid(_("Something that is no incident was ticked; reload the page.")) from error
    if not ids:
        raise Invalid(_("Nothing was ticked."))
    return ids[:200]


def _each(ids: Sequence[UUID], change: Any) -> tuple[int, list[str]]:
    """Change each in a transaction of its own, so that one that may not be does not hold up the others."""
    done, failed = 0, []
    for one in ids:
        try:
            with unit_of_work() as uow:
                change(uow, one)
            done += 1
        except TocsinError as error:
            failed.append(error.message)
    return done, failed


def _outcome(done: int, failed: list[str]) -> str:
    said = _("%(n)s changed.") % {"n": done}
    if failed:
        said += " " + _("%(n)s not: %(why)s") % {"n": len(failed), "why": " ".join(dict.fromkeys(failed))}
    return said
