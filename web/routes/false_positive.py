"""Closing what was nothing, in one breath: a key, a reason, and what is to be ignored for a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy.orm import Session

from core.actors import Actor
from core.db import reading, unit_of_work
from core.errors import Invalid, Problem, TocsinError
from incidents import accepting, closing, hiding, queries
from incidents.accepting import AcceptanceDraft
from incidents.closing import Closing
from incidents.filters import AlertFilter
from incidents.models import Alert, Incident
from incidents.visibility import as_id
from web.languages import gettext as _
from web.pages import Page, show, then
from web.security import Form, allowed

router = APIRouter(include_in_schema=False)

MOST_OFFERED = 5


@dataclass(frozen=True)
class Offer:
    """Something that may be ignored from now on: the newest alert of a rule, and what it names first."""

    field: str
    alert: Alert
    entity: tuple[str, str, str]


@dataclass(kw_only=True)
class FalsePositivePage(Page, template="false_positive.html", rail="incidents"):
    """One press closes it."""

    incident: Incident
    reasons: list[tuple[str, str]]
    offers: list[Offer]
    days: Sequence[int]
    chosen: list[str]
    entered: dict[str, str]
    problems: list[Problem]
    ask_criticals: bool
    may_accept: bool


def reasons() -> list[tuple[str, str]]:
    """The dispositions of what was nothing, as a tired person would say them; the first is the likeliest."""
    return [
        ("false_positive", _("The rule or its data is wrong")),
        ("benign_expected", _("It happened, and is normal here")),
        ("authorised_test", _("Our own scanner or a test")),
        ("operational_error", _("A fault or a mistake of ours")),
        ("duplicate", _("Worked on in another incident")),
    ]


@router.get("/incidents/{key}/false-positive")
def ask(request: Request, key: str, actor: Actor = allowed("incident.close")) -> Response:
    """Why it was nothing, and what is not to ring again for a while."""
    return _page(request, actor, key, {"days": ""}, None, [])


@router.post("/incidents/{key}/false-positive")
def close(request: Request, form: Form, key: str, actor: Actor = allowed("incident.close")) -> Response:
    """Close it, and ignore what was ticked: both or neither."""
    entered = {name: form.get(name) for name in ("disposition", "said", "days", "criticals")}
    ticked = form.many("ignore") if entered["days"] else []
    said = entered["said"] or dict(reasons()).get(entered["disposition"], "")
    try:
        with unit_of_work() as uow:
            incident = queries.incident(uow, actor, key)
            for field in ticked[:MOST_OFFERED]:
                alert, entity = _read(field)
                days = int(entered["days"]) if entered["days"].isdecimal() else 0
                draft = AcceptanceDraft(entity, days, said, criticals=bool(entered["criticals"]))
                accepting.accept(uow, actor, alert, draft)
            closing.close(uow, actor, incident.id, Closing(entered["disposition"], said or None))
            shown = incident.key
    except Invalid as error:
        return _page(request, actor, key, entered, ticked, error.problems or [Problem("", error.message)])
    except TocsinError as error:
        return _page(request, actor, key, entered, ticked, [Problem("", error.message)])
    if ticked:
        return then(
            "/incidents", _("%(key)s is closed; what you ticked is ignored for a time.") % {"key": shown}
        )
    return then("/incidents", _("%(key)s is closed.") % {"key": shown})


def _read(field: str) -> tuple[UUID, tuple[str, str, str]]:
    parts = field.split("|", 3)
    alert = as_id(parts[0])
    if len(parts) != 4 or alert is None:
        raise Invalid(_("Something that is not offered was ticked; reload the page."))
    return alert, (parts[1], parts[3], parts[2])


def _page(
    request: Request,
    actor: Actor,
    key: str,
    entered: dict[str, str],
    ticked: list[str] | None,
    problems: list[Problem],
) -> Response:
    with reading() as session:
        incident = queries.incident(session, actor, key)
        offers = _offers(session, actor, incident) if actor.may("alert.accept") else []
    page = FalsePositivePage(
        incident=incident,
        reasons=reasons(),
        offers=offers,
        days=accepting.DAYS,
        chosen=ticked if ticked is not None else [offer.field for offer in offers[:1]],
        entered={"disposition": "", "said": "", **entered},
        problems=problems,
        ask_criticals=any(problem.path == "criticals" for problem in problems),
        may_accept=actor.may("alert.accept"),
    )
    return show(request, page, status=422 if problems else 200)


def _offers(session: Session, actor: Actor, incident: Incident) -> list[Offer]:
    """What of its alerts could be ignored: rule by rule, what each names first."""
    found: dict[tuple[UUID, str, tuple[str, str, str]], Offer] = {}
    for alert in queries.alerts(session, actor, AlertFilter(incident=incident.id), limit=100).items:
        named = accepting.entities_of(alert)
        if named:
            kind, value, role = named[0]
            rule = hiding.rule_of(alert.rule_id, alert.rule_name, alert.title)
            offer = Offer(f"{alert.id}|{kind}|{role}|{value}", alert, named[0])
            found.setdefault((alert.source_id, rule, named[0]), offer)
    return list(found.values())[:MOST_OFFERED]
