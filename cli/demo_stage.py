"""Who plays in the demo, with which tools: the team, the addresses of what sends alerts, and one change at a time."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import select

from cli import first_steps
from connectors import blocklist
from core import logs
from core.actors import SYSTEM, Actor
from core.auth import users
from core.auth.models import User
from core.db import reading, unit_of_work
from core.errors import TocsinError
from core.ids import secret_token
from incidents.models import Incident, Task
from ingest import sources
from ingest.models import Source
from notify.models import Page

log = logs.get(__name__)
SAMPLES = Path(__file__).parents[1] / "connectors" / "samples"
TEAM = (
    ("ana@demo.example", "Ana Ruiz", ["administrator", "responder"]),
    ("luis@demo.example", "Luis Ortega", ["responder"]),
    ("marta@demo.example", "Marta Gil", ["manager", "auditor"]),
)
SOURCES = ("wazuh", "splunk", "github", "alertmanager", "suricata", "crowdstrike", "falco")
FEED = "Edge firewall"


@dataclass
class Stage:
    """Who plays, with which password, and the address and secret of each tool."""

    password: str
    team: dict[str, User]
    tools: dict[str, tuple[str, str, str]] = field(default_factory=dict)  # name -> url, proof, secret
    sources: dict[str, Source] = field(default_factory=dict)

    def actor(self, name: str, proved_at: datetime | None = None) -> Actor:
        """One of the team, as the doors see them."""
        return users.actor_of(self.team[name], proved_at)


def people() -> Stage:
    """Make the team, put it on call, and give each tool an address."""
    password = secret_token(9)
    hashed = users.hash_password(password)
    with unit_of_work() as uow:
        team = {}
        for email, name, roles in TEAM:
            user = users.by_email(uow, email) or users.create(
                uow, SYSTEM, email=email, name=name, roles=roles
            )
            users.set_password(uow, SYSTEM, user.id, hashed)
            # They have worked here for a week: a new installation would be one that is still being set up.
            user.created_at = user.empowered_at = min(user.created_at, uow.now - timedelta(days=7))
            team[name] = user
        first_steps.on_call(uow, [team["Ana Ruiz"], team["Luis Ortega"]])
        stage = Stage(password, team)
        for name in SOURCES:
            try:
                source = sources.get(uow, name)
                secret = sources.rotate(uow, SYSTEM, source.id)
            except TocsinError:
                source, secret = sources.create(uow, SYSTEM, name=name, connector=name)
            stage.tools[name] = (sources.url_of(source, secret), source.proof, secret)
            stage.sources[name] = source
        if not blocklist.feeds(uow):  # something that playbooks can do without leaving this machine
            blocklist.create_feed(uow, SYSTEM, name=FEED, kind="ip")
    return stage


def do(change: Callable[..., Any], *given: Any, **named: Any) -> None:
    """One change in a unit of work of its own; what cannot be done is logged and left out."""
    try:
        with unit_of_work() as uow:
            change(uow, *given, **named)
    except TocsinError as error:
        log.warning("the demo could not do a step", extra={"reason": error.message})


def open_tasks(incident: UUID) -> list[Task]:
    """What an incident's people are asked to do, the oldest first."""
    with reading() as session:
        return list(
            session.scalars(
                select(Task)
                .where(Task.incident_id == incident, Task.status == "open")
                .order_by(Task.created_at)
            )
        )


def open_pages(incident: UUID | None = None) -> list[UUID]:
    """Pages that nobody has answered, the newest first."""
    with reading() as session:
        query = select(Page.id).where(Page.closed_at.is_(None), Page.acknowledged_at.is_(None))
        if incident is not None:
            query = query.where(Page.subject_kind == "incident", Page.subject_id == str(incident))
        return list(session.scalars(query.order_by(Page.created_at.desc())))


def newest(category: str, source: str | None = None) -> UUID | None:
    """The newest incident of a category."""
    query = select(Incident.id).where(Incident.category == category)
    if source is not None:
        query = query.where(Incident.source == source)
    with reading() as session:
        return session.scalar(query.order_by(Incident.created_at.desc()).limit(1))


def open_ones(category: str) -> list[UUID]:
    """Those of a category that are not closed."""
    with reading() as session:
        return list(
            session.scalars(
                select(Incident.id).where(Incident.category == category, Incident.closed_at.is_(None))
            )
        )
