"""Notes on an incident, in Markdown; the words stay with the comment, the journal keeps them erasable."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import journal
from core.actors import Actor
from core.auth import permissions
from core.db import UnitOfWork
from core.errors import Forbidden, Invalid, NotFound
from core.ids import new_id
from core.journal import Fact
from core.types import Ref
from incidents import facts, mentions
from incidents.markdown import MAX_LENGTH
from incidents.models import Comment, Incident
from incidents.permissions import COMMENT
from incidents.visibility import belongs_to_visible, visible_to


def add(uow: UnitOfWork, actor: Actor, incident_id: UUID, body: str) -> Comment:
    """Comment on an incident, open or closed. Raises NotFound, Invalid when it is empty or too long."""
    permissions.require(actor, COMMENT.name)
    incident = uow.scalar(select(Incident).where(Incident.id == incident_id, visible_to(actor)))
    if incident is None:
        raise NotFound("There is no such incident, or you may not see it.")
    comment = Comment(
        id=new_id(), created_at=uow.now, incident_id=incident_id, author_kind=actor.kind.value, author_id=actor.id,
        author_name=actor.name, body=_checked(body),
    )  # fmt: skip
    uow.add(comment)
    named = mentions.people_in(uow, comment.body, incident)
    body_told = {"mentions": [str(user.id) for user in named]} if named else {}
    journal.record(uow, actor, Fact(facts.COMMENT_ADDED, _refs(comment), body_told, {"body": comment.body}))
    mentions.tell(uow, actor, incident, named, comment.body)
    return comment


def edit(uow: UnitOfWork, actor: Actor, comment_id: UUID, body: str) -> Comment:
    """Change one's own comment; what it said before stays in the journal. Raises NotFound, Forbidden, Invalid."""
    permissions.require(actor, COMMENT.name)
    query = select(Comment).where(Comment.id == comment_id, belongs_to_visible(actor, Comment.incident_id))
    comment = uow.scalar(query.with_for_update())
    if comment is None:
        raise NotFound("There is no such comment, or you may not see it.")
    if (comment.author_kind, comment.author_id) != (actor.kind.value, actor.id):
        raise Forbidden("Only its author may change a comment; add one of your own.")
    comment.body, comment.edited_at = _checked(body), uow.now
    journal.record(uow, actor, Fact(facts.COMMENT_EDITED, _refs(comment), {}, {"body": comment.body}))
    return comment


def of_incident(session: Session, actor: Actor, incident_id: UUID) -> list[Comment]:
    """The comments of an incident, oldest first."""
    query = select(Comment).where(
        Comment.incident_id == incident_id, belongs_to_visible(actor, Comment.incident_id)
    )
    return list(session.scalars(query.order_by(Comment.created_at, Comment.id)))


def _checked(body: str) -> str:
    if not body.strip():
        raise Invalid("The comment is empty.")
    if len(body) > MAX_LENGTH:
        raise Invalid(f"A comment has at most {MAX_LENGTH:,} characters; attach longer texts as a file.")
    return body.replace("\x00", "\ufffd")


def _refs(comment: Comment) -> tuple[Ref, ...]:
    return Ref("incident", str(comment.incident_id)), Ref("comment", str(comment.id))
