"""Topics that ask to be confirmed before they may send: a person says which are known, and nothing is visited unasked."""

from collections.abc import Sequence
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.actors import Actor
from core.auth import permissions
from core.db import UnitOfWork, reading
from core.errors import Conflict, NotFound
from core.journal import Fact, record
from core.types import Ref
from ingest import facts, known, sns
from ingest.models import Source, Subscription
from ingest.permissions import MANAGE_SOURCES
from ingest.verify import sns_url_problem


def of_source(session: Session, source_id: UUID) -> Sequence[Subscription]:
    """The topics that have asked, those still waiting first."""
    order = (Subscription.confirmed_at.is_not(None), Subscription.topic)
    return session.scalars(
        select(Subscription).where(Subscription.source_id == source_id).order_by(*order)
    ).all()


def confirm(actor: Actor, subscription_id: UUID) -> str:
    """Visit the topic's confirmation address, at Amazon's own host only; returns the topic. Blocks; no transaction open.

    Follow with `confirmed()` in a unit of work. Raises Conflict when the address is not Amazon's or does not agree.
    """
    permissions.require(actor, MANAGE_SOURCES.name)
    with reading() as session:
        row = session.get(Subscription, subscription_id)
    if row is None:
        raise NotFound(
            "There is no such request for confirmation; the topic may have been asked again since."
        )
    problem = sns_url_problem(row.url, certificate=False) or _action_problem(row.url)
    if problem is not None:
        raise Conflict(f"This confirmation address is not visited: {problem}.")
    sns.fetch(row.url, "The subscription was not confirmed; ask the topic to send its request again")
    return row.topic


def confirmed(uow: UnitOfWork, actor: Actor, subscription_id: UUID) -> None:
    """Note that the subscription was confirmed, and let the topic send to its source."""
    row = uow.get(Subscription, subscription_id)
    source = uow.get(Source, row.source_id) if row is not None else None
    if row is None or source is None:
        raise NotFound("There is no such request for confirmation.")
    row.confirmed_at = uow.now
    topics: list[str] = list(source.config.get("topics") or [])
    if row.topic not in topics:
        source.config = {**source.config, "topics": [*topics, row.topic]}
    refs = (Ref("source", str(source.id)),)
    record(uow, actor, Fact(facts.SUBSCRIPTION_CONFIRMED, refs, {"source": source.name, "topic": row.topic}))
    uow.after_commit(known.forget)


def _action_problem(url: str) -> str | None:
    return (
        None if "Action=ConfirmSubscription" in urlsplit(url).query else "it does something else than confirm"
    )
