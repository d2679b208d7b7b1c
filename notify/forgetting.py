"""What of reaching people may be forgotten: what they have read in their inbox. The ledger of pages is kept."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement

from core import retention
from core.retention import Old
from notify.models import InboxItem


def _may_go(before: datetime) -> Sequence[ColumnElement[bool]]:
    return [InboxItem.read_at < before]


INBOX = retention.declare(
    Old(
        "inbox",
        lambda given: given.keep_inbox,
        retention.by_age(InboxItem, _may_go),
        retention.rows(InboxItem, _may_go),
    )
)
