"""People, alerts and incidents for tests of the record."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from connectors.contract import AlertDraft, Entity
from core import journal
from core.actors import Actor, ActorKind
from core.db import reading, unit_of_work
from core.types import Ref, Severity
from incidents import lifecycle, rules
from incidents.lifecycle import IncidentDraft
from incidents.models import Alert, Incident
from incidents.opening import Accepted, SourceFacts, accept
from incidents.permissions import ATTACH, CLOSE, COMMENT, DECLARE, EDIT, OPEN, READ, RESTRICT, WORK_TASKS

ALL = frozenset(
    permission.name for permission in (ATTACH, CLOSE, COMMENT, DECLARE, EDIT, OPEN, READ, RESTRICT, WORK_TASKS)
)
ANN = Actor(ActorKind.person, str(UUID(int=7)), "Ann", ALL)
BOB = Actor(ActorKind.person, str(UUID(int=9)), "Bob", ALL)
READER = Actor(ActorKind.person, str(UUID(int=8)), "Rae", frozenset({READ.name}))
NOBODY = Actor(ActorKind.person, str(UUID(int=10)), "Nia", frozenset())

SOURCE = SourceFacts(UUID(int=1), "wazuh", "wazuh", "normal", timedelta(hours=24))
SOURCE_ACTOR = Actor(ActorKind.source, str(SOURCE.id), SOURCE.name)


def draft(**values: Any) -> AlertDraft:
    """A high alert about logins on web01, with what is given instead."""
    given = {
        "title": "Brute force against sshd", "severity": Severity.high, "fingerprint": (("rule", "5712"), ("host", "web01")),
        "rule_id": "5712", "category": "login",
        "entities": (Entity("host", "web01", "target"), Entity("ipv4-addr", "203.0.113.7", "source")),
    }  # fmt: skip
    return AlertDraft(**(given | values))


def low(**values: Any) -> AlertDraft:
    """The same, low."""
    return draft(severity=Severity.low, **values)


def take(*drafts: AlertDraft, source: SourceFacts = SOURCE, at: datetime | None = None) -> list[Accepted]:
    """Take in one batch."""
    with unit_of_work() as uow:
        rules.seed(uow)
        return accept(uow, SOURCE_ACTOR, source, [(one, uuid4(), at or uow.now) for one in drafts])


def opened(**values: Any) -> Incident:
    """An incident that Ann opened by hand."""
    with unit_of_work() as uow:
        return lifecycle.open_by_hand(uow, ANN, IncidentDraft(**({"title": "A laptop is gone"} | values)))


def alert(of: UUID) -> Alert:
    """The alert as it is stored now."""
    with reading() as session:
        found = session.get(Alert, of)
        assert found is not None
        return found


def incident(of: UUID | None) -> Incident:
    """The incident as it is stored now."""
    assert of is not None
    with reading() as session:
        found = session.get(Incident, of)
        assert found is not None
        return found


def verbs(kind: str, of: UUID | None) -> list[str]:
    """What the journal tells of a thing, newest first."""
    with reading() as session:
        return [entry.verb for entry in journal.entries(session, ref=Ref(kind, str(of)))]
