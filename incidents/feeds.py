"""A block list that is no longer fetched is an alert like any other, and ends when it is fetched again."""

from datetime import timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from connectors.contract import AlertDraft
from core.db import UnitOfWork
from core.journal import Entry
from core.outbox import subscriber
from core.types import Severity
from incidents import opening

OURSELVES = opening.SourceFacts(
    id=uuid5(NAMESPACE_URL, "tocsin"), name="tocsin", connector="tocsin", trust="high", quiet_after=timedelta(days=30)
)  # fmt: skip
"""The source of what Tocsin notices about itself."""


def draft(told: dict[str, Any], feed: str, *, fetched: bool) -> AlertDraft:
    """The alert about a feed; it is serious when somebody relies on what stands on the list."""
    listed, every = told.get("listed") or 0, told.get("every")
    usually = f"; usually it is fetched every {max(1, round(every / 60))} min" if every else ""
    return AlertDraft(
        title=f"The block list {told['name']} is no longer fetched",
        severity=Severity.high if listed else Severity.medium,
        status="resolved" if fetched else "firing",
        fingerprint=(("tocsin", "feed"), ("feed", feed)),
        rule_id="tocsin.feed",
        rule_name="A block list is no longer fetched",
        category="other",
        description=f"Last fetched by {told.get('by') or 'nobody'} at {told.get('last')}{usually}. {listed} values stand on "
        "it: new ones are not in force, and ended ones stay blocked, until it is fetched again. See whether the firewall "
        "or resolver still runs, reaches this address and has the feed's present URL.",
        labels={"feed": str(told["name"]), "kind": str(told["kind"])},
        url="/settings/guardrails#feeds",
    )


@subscriber("incidents.feeds", verbs=["blocklist.silent", "blocklist.heard"])
def _notice(uow: UnitOfWork, entry: Entry) -> None:
    feed = entry.ref("feed") or ""
    said = draft(entry.body, feed, fetched=entry.verb == "blocklist.heard")
    opening.accept(uow, entry.actor, OURSELVES, [(said, None, uow.now)])
