"""Rows whose workers die: each is worked on alone, so that it takes no other with it, and is not taken up for ever."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from core import leases
from core.db import UnitOfWork, unit_of_work

if TYPE_CHECKING:
    from core.work import Claim, WorkKind

SUSPECT = 3
"""A row may be taken up so often without an end and without an error before it is worked on alone."""
DEATHS = 10
"""So many more than the attempts of its kind, and it is parked: workers are also killed for other reasons."""


class Deadly(Exception):
    """Whoever took this row up, time and again, neither ended it nor said what went wrong."""


def apart(kind: "WorkKind", claims: "list[Claim]") -> "list[list[Claim]]":
    """These claims in the order to work on them: those above suspicion together, then one that is suspected, alone.

    Of several that are suspected the others were given back, as if nobody had taken them.
    """
    often = [claim for claim in claims if claim.attempts > SUSPECT]
    if not often or len(claims) == 1:
        return [claims] if claims else []
    with unit_of_work() as uow:
        suspects = sorted(_suspected(uow, kind, often), key=lambda claim: claim.attempts)
        if len(suspects) > 1:
            model = kind.model
            uow.execute(
                update(model)
                .where(*leases.ours(model, suspects[1:]))
                .values(lease_until=None, attempts=model.attempts - 1)
                .execution_options(synchronize_session=False)
            )
    clear = [claim for claim in claims if claim not in suspects]
    return [group for group in (clear, suspects[:1]) if group]


def judge(kind: "WorkKind", claims: "Sequence[Claim]") -> None:
    """Raises Deadly for a single claim that was taken up too often: an error would have parked it long ago."""
    if len(claims) == 1 and claims[0].attempts > kind.max_attempts + DEATHS:
        raise Deadly(f"it was taken up {claims[0].attempts - 1} times, and each time its worker died or hung")


def _suspected(uow: UnitOfWork, kind: "WorkKind", often: "list[Claim]") -> "list[Claim]":
    """Those without an error, which a failed attempt leaves, and those that an error would have parked."""
    ids = [claim.id for claim in often]
    silent = set(uow.scalars(select(kind.model.id).where(kind.model.id.in_(ids), kind.model.error.is_(None))))
    return [claim for claim in often if claim.id in silent or claim.attempts > kind.max_attempts]
