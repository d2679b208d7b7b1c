"""Targets: how quickly the team means to answer, contain, recover and close, by severity."""

from dataclasses import dataclass

from fastapi import APIRouter, Request, Response

from core.actors import Actor
from core.db import reading, unit_of_work
from core.errors import Problem
from incidents import targets
from incidents.targets import SEVERITIES, SPANS
from playbooks.durations import parse_duration
from web.languages import gettext as _
from web.languages import ngettext
from web.pages import Page, show, then
from web.security import Fields, Form, allowed

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Cell:
    """One field: its name, and what stands in it."""

    name: str
    text: str


@dataclass(kw_only=True)
class TargetsPage(Page, template="targets.html", rail="settings"):
    """A row a severity, a column a span."""

    rows: list[tuple[str, list[Cell]]]
    columns: list[str]
    problems: list[Problem]


@router.get("/settings/targets")
def ask(request: Request, actor: Actor = allowed("incident.read")) -> Response:
    """What is set."""
    del actor
    with reading() as session:
        known = targets.every(session)
    entered = {f"{severity}-{span}": written(seconds) for (severity, span), seconds in known.items()}
    return _page(request, entered, [])


@router.post("/settings/targets")
def save(request: Request, form: Form, actor: Actor = allowed("target.edit")) -> Response:
    """Set them; an empty field is no target."""
    entered = {
        f"{severity}-{span}": form.get(f"{severity}-{span}").strip()
        for severity in SEVERITIES
        for span in SPANS
    }
    wanted, problems = _read(form)
    if problems:
        return _page(request, entered, problems)
    with unit_of_work() as uow:
        changed = targets.put(uow, actor, wanted)
    return then(
        "/settings/targets",
        ngettext("%(num)s target changed.", "%(num)s targets changed.", changed) % {"num": changed},
    )


def _read(form: Fields) -> tuple[dict[tuple[str, str], int | None], list[Problem]]:
    wanted: dict[tuple[str, str], int | None] = {}
    problems = []
    for severity in SEVERITIES:
        for span in SPANS:
            name = f"{severity}-{span}"
            text = form.get(name).strip()[:40]
            try:
                seconds = round(parse_duration(text.replace("min", "m"))) if text else None
            except ValueError:
                seconds = -1
            if seconds is not None and not 60 <= seconds <= targets.LONGEST:
                problems.append(
                    Problem(
                        name,
                        _(
                            "“%(text)s” is no target: write for example 15m, 4h or 5d, from a minute to a year."
                        )
                        % {"text": text},
                    )
                )
            wanted[severity, span] = seconds
    return wanted, problems


def _page(request: Request, entered: dict[str, str], problems: list[Problem]) -> Response:
    rows = [
        (severity, [Cell(f"{severity}-{span}", entered.get(f"{severity}-{span}", "")) for span in SPANS])
        for severity in SEVERITIES
    ]
    columns = [_("Acknowledge"), _("Contain"), _("Recover"), _("Close")]
    page = TargetsPage(rows=rows, columns=columns, problems=problems)
    return show(request, page, status=422 if problems else 200)


def written(seconds: int) -> str:
    """Seconds as a target is typed: 15m, 4h, 1d12h."""
    parts = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)
