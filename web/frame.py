"""What surrounds every page: the rail with its counts, who is on call, the hold on automation, the person."""

from dataclasses import dataclass, field

from fastapi import Request

from core.actors import Actor
from core.db import reading
from core.errors import Unauthenticated
from core.settings import settings
from web import surroundings
from web.languages import gettext as _
from web.security import signed_in
from web.surroundings import Held, OnCall


@dataclass(frozen=True, kw_only=True)
class RailItem:
    """One place of the rail; `phone` ones are also in the bottom bar."""

    word: str
    href: str
    icon: str
    here: bool
    count: int = 0
    urgent: bool = False
    phone: bool = False


@dataclass(frozen=True, kw_only=True)
class Frame:
    """Everything the base template shows around a page."""

    name: str = ""
    roles: str = ""
    rail: list[RailItem] = field(default_factory=list)
    on_call: OnCall | None = None
    on_call_missing: bool = False
    held: Held | None = None
    unread: int = 0
    query: str = ""
    muzzled: bool = False
    may: frozenset[str] = frozenset()
    places: list[tuple[str, str]] = field(default_factory=list)


def frame_of(request: Request, here: str) -> Frame:
    """The frame for whoever asks; a bare one when nobody is signed in."""
    try:
        actor = signed_in(request)
    except Unauthenticated:
        return Frame(muzzled=settings().muzzled)
    return _frame(request, actor, here)


def _frame(request: Request, actor: Actor, here: str) -> Frame:
    with reading() as session:
        seen = surroundings.look(session, actor, getattr(request.state, "known", None))
    places = [
        RailItem(word=_("Now"), href="/", icon="home", here=here == "now", count=seen.needs, urgent=seen.needs > 0, phone=True),
        RailItem(word=_("Incidents"), href="/incidents", icon="flame", here=here == "incidents", count=seen.incidents, phone=True),
        RailItem(word=_("Alerts"), href="/alerts", icon="bell-ringing", here=here == "alerts", count=seen.alerts, phone=True),
        RailItem(word=_("Playbooks"), href="/playbooks", icon="git-branch", here=here == "playbooks", count=seen.runs),
        RailItem(word=_("On-call"), href="/oncall", icon="phone", here=here == "oncall", count=seen.pages, phone=True),
        RailItem(word=_("Reports"), href="/reports", icon="report", here=here == "reports"),
        RailItem(word=_("Journal"), href="/journal", icon="book", here=here == "journal"),
        RailItem(word=_("Settings"), href="/settings", icon="settings", here=here == "settings", count=seen.stuck),
    ]  # fmt: skip
    return Frame(
        name=actor.name,
        roles=", ".join(_(role) for role in seen.roles),
        rail=places,
        on_call=seen.on_call,
        on_call_missing=seen.on_call is None,
        held=seen.held,
        unread=seen.unread,
        query=request.query_params.get("q", "") if request.url.path == "/search" else "",
        muzzled=settings().muzzled,
        may=actor.permissions,
        places=[*((item.word, item.href) for item in places), *_more_places(actor)],
    )


def _more_places(actor: Actor) -> list[tuple[str, str]]:
    """The pages besides the rail's that the command palette goes to, as far as the reader may see them."""
    every = [
        (_("New incident"), "/incidents/new", "incident.open"), (_("Ignored"), "/ignored", "incident.read"),
        (_("Inbox"), "/inbox", "contact.manage_own"), (_("You and your phone"), "/profile", "contact.manage_own"),
        (_("Countermeasures"), "/countermeasures", "connector.read"), (_("All actions"), "/calls", "connector.read"),
        (_("Sources"), "/settings/sources", "source.read"), (_("Connectors"), "/connectors", "connector.read"),
        (_("Grouping rules"), "/settings/rules", "incident.read"), (_("Users"), "/settings/users", "user.read"),
        (_("Installation: mail, report form, heartbeat, witness"), "/settings/installation", "settings.manage"),
        (_("Health"), "/doctor", "doctor.read"), (_("Keys"), "/keys", "incident.read"),
    ]  # fmt: skip
    return [(word, href) for word, href, permission in every if actor.may(permission)]
