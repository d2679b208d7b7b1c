"""The doctor's page: whether this installation is looked after, and the one thing to do about each light that is not green."""

from dataclasses import dataclass

from fastapi import APIRouter, Request, Response

from core.actors import Actor
from core.db import reading
from reports import doctor
from reports.doctor import Shown, State
from web.languages import gettext as _
from web.languages import ngettext
from web.pages import Page, show
from web.security import allowed

router = APIRouter(include_in_schema=False)


@dataclass(kw_only=True)
class DoctorPage(Page, template="doctor.html", rail="settings"):
    """Every light, worst first."""

    title: str
    lights: list[Shown]


@router.get("/doctor")
def examine(request: Request, actor: Actor = allowed("doctor.read")) -> Response:
    """Look at everything now."""
    del actor
    with reading() as session:
        shown = doctor.examine(session)
    return show(
        request,
        DoctorPage(
            title=title(shown),
            lights=sorted(shown, key=lambda one: -one.finding.state.rank),
        ),
    )


def title(shown: list[Shown]) -> str:
    """The answer in one sentence."""
    red = sum(one.finding.state is State.red for one in shown)
    if red:
        said = ngettext("%(num)s thing endangers your alarms", "%(num)s things endanger your alarms", red)
        return said % {"num": red}
    yellow = sum(one.finding.state is State.yellow for one in shown)
    if yellow:
        return ngettext("%(num)s thing is left to do", "%(num)s things are left to do", yellow) % {
            "num": yellow
        }
    return _("This installation is looked after")
