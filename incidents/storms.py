"""Brake a storm: when a source opens more incidents than people can read, alerts of one kind gather in one incident."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import select

from connectors.contract import AlertDraft
from core.db import UnitOfWork
from core.types import Severity
from incidents.grouping import MAX_KEY, spoken
from incidents.models import Incident

MOST = 10
"""So many incidents may one source open in `WINDOW`; the kinds of alert that come after share one incident each."""
MOST_CRITICAL = 20
"""The same for critical ones: they pass, storm or not, until even of these there are too many to be read."""
WINDOW = timedelta(minutes=10)
TAG = "storm"
_PREFIX = "storm:"
_LOOKED_AT = 500  # the newest incidents, of any source: enough to know a storm, and no more to read in one
_NUMBER = re.compile(r"\d+")


@dataclass
class Storms:
    """What the weather of one source is while a batch is placed; `stormy` holds True for its critical alerts."""

    source: str
    stormy: set[bool] = field(default_factory=set)

    def why(self, critical: bool) -> str:
        """The words that tell people why alerts gather."""
        most = MOST_CRITICAL if critical else MOST
        named = "critical incidents" if critical else "incidents"
        return (
            f"a storm: {self.source} opened more than {most} {named} within {spoken(WINDOW)}, "
            "so alerts of this kind gather in one"
        )


def watch(uow: UnitOfWork, source: str, wanted: Iterable[bool]) -> Storms:
    """Judge the weather of a source that is about to open incidents: one item of `wanted` for each, True if critical.

    The batch itself counts, so a storm that arrives in one go is known by its first batch; and so does what a storm's
    incident has gathered, so that a storm does not end by being braked.
    """
    about = Counter(wanted)
    if not about:
        return Storms(source)
    newest = (
        select(Incident.source, Incident.severity, Incident.group_key, Incident.alert_count)
        .where(Incident.created_at > uow.now - WINDOW)
        .order_by(Incident.created_at.desc(), Incident.id.desc())
        .limit(_LOOKED_AT)
    )
    for name, severity, key, alerts in uow.execute(newest):
        if name == source[:200] and key is not None:
            about[severity == Severity.critical] += alerts if is_of_storm(key) else 1
    return Storms(
        source,
        {critical for critical, most in ((False, MOST), (True, MOST_CRITICAL)) if about[critical] > most},
    )


def key_of(source_id: object, draft: AlertDraft, *, critical: bool) -> str:
    """The group's key of a kind of alert in a storm: a source's rule, and whether it is critical.

    Without a rule the kind is the title, in which numbers and what the alert names (hosts, users…) do not count.
    """
    kind = (draft.rule_id or draft.rule_name or _skeleton(draft)).replace("\x00", "\ufffd")
    return f"{_PREFIX}{source_id}:{'critical:' if critical else ''}{kind}"[:MAX_KEY]


def is_of_storm(group_key: str | None) -> bool:
    """Whether a group's key is one of a storm."""
    return group_key is not None and group_key.startswith(_PREFIX)


def _skeleton(draft: AlertDraft) -> str:
    title = draft.title
    for entity in sorted(draft.entities[:50], key=lambda entity: -len(entity.value)):
        if len(entity.value) > 2:
            title = title.replace(entity.value, "*")
    return _NUMBER.sub("#", title)
