"""Leave out of a count what belongs to incidents that are restricted to others."""

from typing import Any

from sqlalchemy import ColumnElement, bindparam, not_, select
from sqlalchemy.orm import Session

from core.actors import Actor
from incidents.models import Incident
from incidents.visibility import visible_to

MOST = 2000
"""Few incidents are restricted; of more than this the latest are looked at."""


def hidden_from(session: Session, actor: Actor) -> list[str]:
    """The ids, as subjects spell them, of the incidents that this person may not see, the closed ones too."""
    restricted = (Incident.restricted_to.is_not(None), not_(visible_to(actor)))
    found = session.scalars(select(Incident.id).where(*restricted).order_by(Incident.id.desc()).limit(MOST))
    return [str(one) for one in found]


def not_hidden(subject_id: Any) -> ColumnElement[bool]:
    """The condition on a `subject_id`; the statement is run with `hidden=hidden_from(...)`."""
    return subject_id.not_in(bindparam("hidden", expanding=True))  # type: ignore[no-any-return]  # a column expression
