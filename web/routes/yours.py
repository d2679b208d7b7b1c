"""What is yours: what Tocsin will never act against, asked once and whenever it changes; and who owns what."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response

from connectors import ours, owners, rails
from core.actors import Actor
from core.db import reading, unit_of_work
from core.errors import Invalid, Problem
from core.settings import settings
from web.languages import gettext as _
from web.languages import ngettext
from web.pages import Page, show, then
from web.security import Fields, Form, allowed

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Question:
    """One field: its name, what is asked, what belongs there, and what stands in it."""

    name: str
    title: str
    hint: str
    example: str
    text: str


@dataclass(kw_only=True)
class YoursPage(Page, template="yours.html", rail="settings"):
    """The questions, answered as far as this machine can."""

    questions: list[Question]
    owners: str
    owners_problems: list[Problem]
    lines: int
    protected: int
    first: bool
    problems: list[Problem]


@router.get("/settings/yours")
def ask(request: Request, actor: Actor = allowed("guard.change")) -> Response:
    """Ask, with what this machine suggests and nobody has protected yet."""
    del actor
    return _page(request)


@router.post("/settings/yours")
def answer(request: Request, form: Form, actor: Actor = allowed("guard.change")) -> Response:
    """Protect all of it, or say what cannot be meant and change nothing."""
    given = {kind.name: form.get(kind.name)[:50_000] for kind in ours.KINDS}
    try:
        said = ours.read(given)
        with unit_of_work() as uow:
            new = ours.protect(uow, actor, said)
    except Invalid as error:
        return _page(request, error.problems or [Problem("", error.message)], form)
    told = ngettext(
        "%(num)s more is protected: Tocsin will never act against it.",
        "%(num)s more are protected: Tocsin will never act against them.",
        new,
    )
    on = "/profile/factor" if form.flag("first") else "/settings/guardrails#protected"
    return then(on, told % {"num": new} if new else "")


@router.post("/settings/yours/owners")
def keep_owners(request: Request, form: Form, actor: Actor = allowed("guard.change")) -> Response:
    """Make these lines all there are, or say what cannot be meant and change nothing."""
    text = form.get("owners")[:500_000]
    try:
        with unit_of_work() as uow:
            changed = owners.keep(uow, actor, owners.read(text))
    except Invalid as error:
        return _page(request, owners_problems=error.problems, owners_text=text)
    told = ngettext("%(num)s line has changed.", "%(num)s lines have changed.", changed)
    return then("/settings/yours#owners", told % {"num": changed} if changed else _("Nothing has changed."))


def _page(
    request: Request,
    problems: list[Problem] | None = None,
    entered: Fields | None = None,
    *,
    owners_problems: list[Problem] | None = None,
    owners_text: str | None = None,
) -> Response:
    with reading() as session:
        kept = "\n".join(map(str, owners.listed(session))) if owners_text is None else owners_text
        known = len(rails.protected(session))
        guess = ours.suggested(session, urlsplit(settings().base_url).hostname or "")
    asked = {
        "networks": (_("Your networks"), _("Also public ranges and the address your network is seen from."), "198.51.100.0/24"),
        "ways": (_("Resolvers and gateways"), _("Without them nothing works."), "10.0.0.1"),
        "server": (_("This server"), _("Tocsin itself, and what it stands on."), "tocsin.example.org"),
        "scanner": (_("Your vulnerability scanner"), _("What it does looks like an attack every week."), "10.0.0.77"),
        "domains": (_("Your domains"), _("With all names under them."), "example.org"),
        "people": (_("People who must never be locked out"), _("Accounts or addresses; * stands for anything."), "ceo@example.org"),
    }  # fmt: skip
    questions = []
    for kind in ours.KINDS:
        title, hint, example = asked[kind.name]
        text = entered.get(kind.name) if entered is not None else "\n".join(guess[kind.name])
        questions.append(Question(kind.name, title, hint, example, text))
    first = (entered.flag("first") if entered else False) or request.query_params.get("first") == "1"
    lines = min(8, max(one.text.count("\n") for one in questions) + 2)
    page = YoursPage(
        questions=questions, lines=lines, protected=known, problems=problems or [], first=first, owners=kept,
        owners_problems=owners_problems or [],
    )  # fmt: skip
    return show(request, page, status=422 if problems or owners_problems else 200)
