"""Targets: how quickly a team means to answer, contain, recover and close, by severity; what reports compare with."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from core import journal
from core.actors import Actor
from core.auth import permissions
from core.auth.permissions import declare
from core.db import Base, UnitOfWork
from core.errors import Invalid, Problem
from core.journal import Fact
from core.types import Instant, Ref, Severity
from incidents import facts

EDIT_TARGETS = declare("target.edit", "Set targets for answering, containing and closing", ("manager",))

SPANS = ("acknowledge", "contain", "recover", "close")
"""What may have a target; each counts from the first alert or report."""
SEVERITIES = tuple(one.value for one in (Severity.critical, Severity.high, Severity.medium, Severity.low))
LONGEST = 366 * 86_400


class Target(Base):
    """So many seconds a severity's incidents may take until one of SPANS is reached."""

    __tablename__ = "targets"

    severity: Mapped[str] = mapped_column(String(16), primary_key=True)
    span: Mapped[str] = mapped_column(String(16), primary_key=True)
    seconds: Mapped[int] = mapped_column()
    set_at: Mapped[datetime] = mapped_column(Instant)
    set_by: Mapped[str] = mapped_column(String(200))


def every(session: Session) -> dict[tuple[str, str], int]:
    """All that are set: seconds by severity and span."""
    return {(row.severity, row.span): row.seconds for row in session.scalars(select(Target))}


def of(session: Session, severity: str) -> dict[str, int]:
    """Those of one severity: seconds by span."""
    return {
        span: seconds for (of_severity, span), seconds in every(session).items() if of_severity == severity
    }


def put(uow: UnitOfWork, actor: Actor, wanted: Mapping[tuple[str, str], int | None]) -> int:
    """Set targets (seconds), or take them away (None); how many changed. What is not named stays. Raises Invalid."""
    permissions.require(actor, EDIT_TARGETS.name)
    problems = [
        Problem(
            f"{severity}.{span}",
            "must be a severity and a span that may have a target, and from a minute to a year",
        )
        for (severity, span), seconds in wanted.items()
        if severity not in SEVERITIES
        or span not in SPANS
        or (seconds is not None and not 60 <= seconds <= LONGEST)
    ]
    if problems:
        raise Invalid("The targets cannot be set as given.", problems)
    changed: dict[str, dict[str, int | None]] = {}
    for (severity, span), seconds in wanted.items():
        row = uow.get(Target, (severity, span), with_for_update=True)
        was = row.seconds if row is not None else None
        if was == seconds:
            continue
        changed[f"{severity} {span}"] = {"from": was, "to": seconds}
        if row is not None and seconds is None:
            uow.delete(row)
        elif row is not None and seconds is not None:
            row.seconds, row.set_at, row.set_by = seconds, uow.now, actor.name
        elif seconds is not None:
            uow.add(
                Target(severity=severity, span=span, seconds=seconds, set_at=uow.now, set_by=actor.name[:200])
            )
    if changed:
        uow.flush()
        journal.record(
            uow, actor, Fact(facts.TARGETS_CHANGED, (Ref("setting", "targets"),), {"changed": changed})
        )
    return len(changed)
