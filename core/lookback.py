"""How far back a filtered list looks at once: what is rare, or matches nothing, must not cost a walk through a million rows."""

from typing import Any

from sqlalchemy import Select
from sqlalchemy.orm import Session

AT_ONCE = 20_000
"""So many rows are looked through for one page; what is older is looked through from the next page on."""


def floor(session: Session, keys: Select[Any]) -> Any:
    """The last of the next AT_ONCE rows of `keys`; None when there are fewer, so that everything is looked through.

    keys: what the list is ordered by, newest first, from its cursor on, with conditions that an index answers and no others.
    """
    return session.execute(keys.offset(AT_ONCE - 1).limit(1)).first()
