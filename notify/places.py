"""Where a value that must go may stand in pages and messages, and in what their senders answered."""

from uuid import UUID

from sqlalchemy import ColumnElement, select

from core import places
from core.places import Place
from notify.models import Message, Page, PageAttempt


def _pages(subject: UUID) -> ColumnElement[bool]:
    return Page.subject_id == str(subject)


def _attempts(subject: UUID) -> ColumnElement[bool]:
    return PageAttempt.page_id.in_(select(Page.id).where(Page.subject_id == str(subject)))


def _messages(subject: UUID) -> ColumnElement[bool]:
    return Message.subject_id == str(subject)


places.declare(
    Place("pages", Page, _pages, "page"),
    Place("attempts to page", PageAttempt, _attempts),
    Place("messages", Message, _messages, "message"),
)
