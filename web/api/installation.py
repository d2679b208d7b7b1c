"""The settings that a page may change, over the API: what is set and by what, changed and tried out; secrets are never told."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from core import chosen
from core.actors import Actor
from core.db import reading
from core.settings import settings
from web import installation
from web.calling import may
from web.installation import Tried
from web.shapes import Listing, Shape

router = APIRouter(prefix="/api/v1/settings", tags=["installation"])


class SettingOut(Shape):
    """One setting: its variable, by what it is set (environment, page or default), and its value unless that is a secret."""

    name: str
    variable: str
    set_by: str
    secret: bool
    value: str | None


class SettingIn(Shape):
    """One setting as it is typed; an empty value goes back to the default."""

    name: str
    value: Annotated[str, Field(max_length=chosen.LONGEST)]


class SettingsIn(Shape):
    """Settings to change; those that are not named stay as they are."""

    items: Annotated[list[SettingIn], Field(max_length=20)]


class TriedOut(Shape):
    """What came of trying: whether it worked, a sentence, and how to mend what did not."""

    worked: bool
    says: str
    mend: str


class TestMailIn(Shape):
    """Whom a test mail goes to."""

    to: Annotated[str, Field(max_length=320)]


@router.get("")
def list_settings(actor: Actor = may("settings.manage")) -> Listing[SettingOut]:
    """All that can be changed while Tocsin runs."""
    del actor
    with reading() as session:
        shown = chosen.shown(session)
    fixed = settings().fixed
    items = []
    for choice in chosen.CHOICES.values():
        by = "environment" if choice.name in fixed else "page" if choice.name in shown else "default"
        value = None if choice.secret or by == "environment" else shown.get(choice.name, "")
        items.append(
            SettingOut(
                name=choice.name, variable=choice.variable, set_by=by, secret=choice.secret, value=value
            )
        )
    return Listing(items=items, next=None)


@router.put("")
def put_settings(given: SettingsIn, actor: Actor = may("settings.manage")) -> Listing[SettingOut]:
    """Change some, in force at once; 422 names what cannot be set, 409 what the environment says."""
    installation.save(actor, {one.name: one.value for one in given.items})
    return list_settings(actor)


@router.post("/imap_url/try")
def try_mailbox(actor: Actor = may("settings.manage")) -> TriedOut:
    """Sign in at the mailbox and count what waits; nothing is taken."""
    return _told(installation.try_mailbox(actor))


@router.post("/heartbeat_url/try")
def try_heartbeat(actor: Actor = may("settings.manage")) -> TriedOut:
    """Send one heartbeat."""
    return _told(installation.try_heartbeat(actor))


@router.post("/smtp_url/try")
def try_outgoing(given: TestMailIn, actor: Actor = may("settings.manage")) -> TriedOut:
    """Send a test mail; `says` holds what the mail server answered."""
    return _told(installation.try_outgoing(actor, given.to))


def _told(tried: Tried) -> TriedOut:
    return TriedOut(worked=tried.worked, says=tried.says, mend=tried.mend)
