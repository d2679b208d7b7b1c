"""Channels: what each needs once for everybody, and the shared places that can be paged."""

from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy.orm import Session

from core import chosen
from core.actors import Actor
from core.db import reading, unit_of_work
from core.errors import Invalid, NotFound, Problem, TocsinError
from notify import contacts, links, queries, registry
from notify.contract import Channel
from notify.models import ChannelSettings, ContactMethod
from web.languages import gettext as _
from web.pages import Page, show, then
from web.security import Form, allowed
from web.testing_contacts import Way, send_test, way_of

router = APIRouter(include_in_schema=False)

HOME = "/oncall/channels"


@dataclass(frozen=True, kw_only=True)
class ChannelTold:
    """A channel, the values set for everybody, and whether secrets are stored."""

    channel: Channel
    values: dict[str, str]
    sealed: bool
    shares: str
    incoming: str


@dataclass(kw_only=True)
class ChannelsPage(Page, template="oncall_channels.html", rail="oncall"):
    """How pages and messages leave."""

    channels: list[ChannelTold]
    places: list[Way]
    smtp: bool
    sender: str
    may_manage: bool
    may_set: bool
    problems: list[Problem]
    about: str
    entered: dict[str, str]


def _page(
    request: Request, actor: Actor, about: str = "", problems: list[Problem] | None = None,
    entered: dict[str, str] | None = None,
) -> Response:  # fmt: skip
    with reading() as session:
        given = chosen.effective(session)
        page = ChannelsPage(
            channels=[
                _told(session, channel) for channel in registry.all_channels().values() if channel.reaches_out
            ],
            places=[way_of(session, place) for place in queries.contact_methods(session, None)],
            smtp=bool(given.smtp_url),
            sender=given.smtp_from,
            may_manage=actor.may("oncall.manage"),
            may_set=actor.may("settings.manage"),
            problems=problems or [],
            about=about,
            entered=entered or {},
        )
    return show(request, page, status=422 if problems else 200)


def _told(session: Session, channel: Channel) -> ChannelTold:
    row = session.get(ChannelSettings, channel.name)
    return ChannelTold(
        channel=channel,
        values=row.values if row else {},
        sealed=bool(row and row.secrets),
        shares=registry.get(channel.shares).title if channel.shares else "",
        incoming=links.incoming_url(channel.name) if channel.takes_codes else "",
    )


def _problems(error: TocsinError) -> list[Problem]:
    return (error.problems if isinstance(error, Invalid) else []) or [Problem("", error.message)]


@router.get("/oncall/channels")
def every(request: Request, actor: Actor = allowed("user.read")) -> Response:
    """Every channel and shared place."""
    return _page(request, actor)


@router.post("/oncall/channels/{name}")
def configure(request: Request, form: Form, name: str, actor: Actor = allowed("oncall.manage")) -> Response:
    """Set what a channel needs once."""
    try:
        with unit_of_work() as uow:
            contacts.configure_channel(uow, actor, name, form.starting("value."))
    except Invalid as error:
        return _page(request, actor, name, _problems(error))
    return then(HOME, _("Saved. Send a test to a shared place, or to yourself."))


@router.post("/oncall/places")
def add_place(request: Request, form: Form, actor: Actor = allowed("oncall.manage")) -> Response:
    """Add a shared place, such as a chat channel."""
    channel, name = form.get("channel"), form.get("name")
    address = {field: value for field, value in form.starting("address.").items() if value}
    try:
        with unit_of_work() as uow:
            contacts.add(uow, actor, user_id=None, channel=channel, address=address, name=name)
    except TocsinError as error:
        if error.status not in (404, 409, 422):
            raise
        return _page(
            request, actor, f"place-{channel}", _problems(error), {"name": name, "to": address.get("to", "")}
        )
    return then(HOME, _("Added. Send a test, so that you know it arrives."))


def _place(session: Session, place_id: UUID) -> ContactMethod:
    place = session.get(ContactMethod, place_id)
    if place is None or place.disabled_at is not None or place.user_id is not None:
        raise NotFound(_("There is no such shared place."))
    return place


@router.post("/oncall/places/{place_id}/test")
def try_place(place_id: UUID, actor: Actor = allowed("oncall.manage")) -> Response:
    """Send something there."""
    with unit_of_work() as uow:
        send_test(uow, actor, _place(uow, place_id))
    return then(HOME, _("A test is on its way; its answer stands below in a moment."))


@router.post("/oncall/places/{place_id}/remove")
def remove_place(place_id: UUID, actor: Actor = allowed("oncall.manage")) -> Response:
    """Take a shared place out of use."""
    with unit_of_work() as uow:
        contacts.remove(uow, actor, _place(uow, place_id).id)
    return then(HOME, _("Removed."))
