"""The page that asks for a second factor in the middle of something, and then sends what was entered once more."""

from dataclasses import dataclass
from typing import Any

from fastapi import Request, Response
from sqlalchemy.orm import Session
from starlette.datastructures import FormData

from core.actors import Actor
from core.auth import factors, passkeys, users
from core.db import reading
from core.errors import NeedsSecondFactor
from core.settings import settings
from playbooks.asking import DISRUPTIVE
from web.pages import Page, show

_NOT_CARRIED = frozenset({"factor.code", "factor.ticket", "factor.answer", "password", "present", "again"})


@dataclass(frozen=True)
class Asked:
    """What the form for a second factor needs: the passkey's question (None: no passkey here) and its ticket."""

    options: dict[str, Any] | None = None
    ticket: str = ""


@dataclass(kw_only=True)
class StepUpPage(Page, template="step_up.html"):
    """Show it again, and go on with what was being done."""

    enrolled: bool
    message: str
    problem: str
    action: str
    carried: list[tuple[str, str]]
    asked: Asked
    minutes: int


def can_ask(request: Request) -> bool:
    """Whether the request is a form of ours that can be sent once more."""
    return isinstance(getattr(request.state, "form", None), FormData)


def ask(request: Request, error: NeedsSecondFactor) -> Response:
    """The page: 403 until it has been shown. Everything that was entered waits in it, passwords left out."""
    form: FormData = request.state.form
    actor: Actor = request.state.actor
    query = f"?{request.url.query}" if request.url.query else ""
    page = StepUpPage(
        enrolled=error.enrolled,
        message=error.message,
        problem=error.problem,
        action=request.url.path + query,
        carried=[
            (name, value)
            for name, value in form.multi_items()
            if isinstance(value, str) and name not in _NOT_CARRIED
        ],
        asked=asked_of(actor) if error.enrolled else Asked(),
        minutes=int(settings().second_factor_fresh.total_seconds() // 60),
    )
    return show(request, page, status=error.status)


def asked_for(session: Session, actor: Actor, effect: str) -> str:
    """What doing something of this effect asks of the person: "" nothing, "shown" lately, "ask" again, "missing", "waived" here."""
    if effect not in DISRUPTIVE or actor.user_id is None:
        return ""
    if factors.is_fresh(session, actor):
        return "shown"
    if factors.enrolled(session, actor.user_id):
        return "ask"
    return "missing" if settings().second_factor_required else "waived"


def asked_of(actor: Actor) -> Asked:
    """A fresh question to the person's passkeys."""
    if actor.user_id is None:
        return Asked()
    with reading() as session:
        question = passkeys.challenge(session, users.get(session, actor.user_id))
    return Asked(*question) if question is not None else Asked()
