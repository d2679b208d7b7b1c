"""Settings: one overview of what is configured, with the way to each part."""

from dataclasses import dataclass

from fastapi import APIRouter, Request, Response
from sqlalchemy import func, select

from connectors.models import ConnectorInstance, ProtectedEntity
from core import certificates, chosen
from core.actors import Actor
from core.auth.models import ApiToken, User
from core.db import reading
from core.errors import Invalid
from core.four_eyes import OPEN, Change
from core.settings import Settings, settings
from incidents.alert_models import GroupingRule
from ingest.models import Source
from web.languages import gettext as _
from web.pages import Page, show
from web.security import allowed

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Place:
    """One part of the settings: how many there are and what they are for."""

    href: str
    icon: str
    title: str
    number: int | None
    says: str


@dataclass(kw_only=True)
class SettingsPage(Page, template="settings.html", rail="settings"):
    """The overview."""

    places: list[Place]
    facts: list[tuple[str, str]]


@router.get("/settings")
def overview(request: Request, actor: Actor = allowed("source.read")) -> Response:
    """Everything that can be set."""
    with reading() as session:

        now = chosen.effective(session)

        def number(model: type, *conditions: object) -> int:
            return session.scalar(select(func.count()).select_from(model).where(*conditions)) or 0  # type: ignore[arg-type]  # column expressions

        counts = {
            "sources": number(Source, Source.disabled_at.is_(None)),
            "products": number(ConnectorInstance, ConnectorInstance.enabled),
            "rules": number(GroupingRule, GroupingRule.enabled),
            "protected": number(ProtectedEntity),
            "changes": number(Change, Change.state == OPEN),
            "users": number(User, User.disabled_at.is_(None)),
            "tokens": number(ApiToken, ApiToken.revoked_at.is_(None)),
        }
    given = settings()
    health = Place(href="/doctor", icon="check", title=_("Health"), number=None, says=_("Whether this installation is looked after"))  # fmt: skip
    ways = Place(href="/settings/installation", icon="inbox", title=_("Installation: mail, report form, heartbeat, witness"), number=None, says=_("How mail leaves and comes in, how staff report something, and who outside keeps watch"))  # fmt: skip
    yours = Place(href="/settings/yours", icon="home", title=_("What is yours?"), number=None, says=_("Networks, servers, domains and people that are never acted against"))  # fmt: skip
    places = [
        Place(href="/settings/sources", icon="plug", title=_("Sources"), number=counts["sources"], says=_("Tools that send alerts")),
        Place(href="/connectors", icon="bolt", title=_("Connectors"), number=counts["products"], says=_("Products Tocsin may ask or tell to do something")),
        Place(href="/settings/rules", icon="stack", title=_("Grouping"), number=counts["rules"], says=_("Which alerts become incidents, and which belong together")),
        Place(href="/settings/guardrails", icon="shield-check", title=_("Protected"), number=counts["protected"], says=_("What nothing may ever act against, and how often things may be done")),
        Place(href="/settings/targets", icon="hourglass", title=_("Targets"), number=None, says=_("How quickly you mean to answer, contain, recover and close")),
        *([yours] if actor.may("guard.change") else []),
        Place(href="/settings/guardrails", icon="hand-stop", title=_("Automation"), number=None, says=_("Hold everything that acts, or let it go on")),
        Place(href="/settings/changes", icon="checks", title=_("Guarded changes"), number=counts["changes"], says=_("What is proposed to be loosened, and waits for a second person")),
        Place(href="/settings/users", icon="user", title=_("Users"), number=counts["users"], says=_("Who works here")),
        Place(href="/settings/tokens", icon="key", title=_("Tokens"), number=counts["tokens"], says=_("Programs that use the API")),
        Place(href="/settings/work", icon="checks", title=_("Work"), number=None, says=_("What waits to be done, and what is stuck")),
        *([ways] if actor.may("settings.manage") else []),
        *([health] if actor.may("doctor.read") else []),
    ]  # fmt: skip
    facts = [
        (_("Address"), given.base_url),
        (_("TLS"), _certificate(given)),
        (_("Database"), given.database_url.partition(":")[0]),
        (_("Shape"), _("one process") if given.embedded else _("web and workers, woken by Redis")),
        (_("Mail"), _("configured") if now.smtp_url else _("not configured: set it on the page Installation")),
        (_("Secret key"), _("generated into the data directory: move it elsewhere") if given.secret_key_generated else _("given from outside")),
        (_("Playbooks"), str(given.playbooks.name)),
    ]  # fmt: skip
    return show(request, SettingsPage(places=places, facts=facts))


def _certificate(given: Settings) -> str:
    """Who ends TLS; for a certificate of our own what a reader's browser shows, too."""
    if given.tls_certificate is None:
        return _("ended by a proxy") if given.base_url.startswith("https:") else _("none")
    try:
        shown = certificates.read(given.tls_certificate)
    except Invalid as error:
        return error.message
    told = {"until": f"{shown.ends:%Y-%m-%d}", "fingerprint": shown.fingerprint}
    if shown.self_signed:
        return _("signed by itself, until %(until)s, SHA-256 %(fingerprint)s") % told
    return _("by Tocsin itself, until %(until)s, SHA-256 %(fingerprint)s") % told
