"""Which pages a person may see or count: those about what they may see, and those that went to them."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from core.actors import Actor
from core.types import Ref
from incidents.visibility import visible_refs
from notify.models import Page, PageTarget
from notify.queries import went_to
from web.hidden import not_hidden


def seen_calls(session: Session, actor: Actor, calls: Sequence[Page]) -> tuple[list[Page], set[UUID]]:
    """Of these pages the ones the actor may see, in order, and the ids of those that went to them."""
    if not calls:
        return [], set()
    targets = select(PageTarget.page_id).where(
        PageTarget.user_id == actor.user_id, PageTarget.page_id.in_([call.id for call in calls])
    )
    mine = {found for found in session.scalars(targets) if found} if actor.user_id else set()
    seen = visible_refs(session, actor, {Ref(call.subject_kind, call.subject_id) for call in calls})
    kept = [call for call in calls if Ref(call.subject_kind, call.subject_id) in seen or call.id in mine]
    return kept, mine


def heard_of(actor: Actor) -> ColumnElement[bool]:
    """The same as a condition on `Page`, for counting; the statement is run with `hidden` (see web.hidden)."""
    others = not_hidden(Page.subject_id)
    return or_(others, went_to(actor.user_id)) if actor.user_id else others
