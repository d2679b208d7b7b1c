"""Who owns what: one line for each asset, kept by people, so that a playbook can tell its owner without asking who that is."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from connectors import facts
from connectors.models import AssetOwner
from connectors.permissions import CHANGE_GUARDS
from core.actors import Actor
from core.auth import permissions
from core.db import UnitOfWork
from core.errors import Invalid, Problem
from core.journal import Fact, record
from core.types import Ref

MOST = 2000  # lines; each is read by people, not by a directory of the whole house
_ASSET = re.compile(r"[^\s,;@][^,;@\x00-\x1f]{0,199}")
_MAIL = re.compile(r"[^\s,;@<>\"']{1,120}@[A-Za-z0-9.-]{1,130}")


@dataclass(frozen=True)
class Owned:
    """One line: an asset (a host, a domain, a service) by its name in small letters, and the mail address of its owner."""

    asset: str
    owner: str

    def __str__(self) -> str:
        return f"{self.asset} {self.owner}"


def read(text: str) -> list[Owned]:
    """The lines of `asset mail-address`, each asset once. Raises Invalid with a problem for every line that cannot be meant."""
    found: dict[str, Owned] = {}
    problems: list[Problem] = []
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) > MOST:
        raise Invalid(f"At most {MOST} lines.", [Problem("owners", f"more than {MOST} lines")])
    for line in lines:
        asset, _space, owner = line.rpartition(" ")
        asset = asset.strip().lower()
        if not _ASSET.fullmatch(asset) or not _MAIL.fullmatch(owner):
            problems.append(Problem("owners", f"“{line[:80]}” is no line such as: shop ana@example.org"))
        elif found.setdefault(asset, Owned(asset, owner.lower())).owner != owner.lower():
            problems.append(Problem("owners", f"“{asset[:80]}” has two owners; name the one who is told first"))
    if problems:
        raise Invalid("; ".join(one.message for one in problems[:5]), problems)
    return list(found.values())


def listed(session: Session) -> list[Owned]:
    """Every line, by asset."""
    rows = session.execute(select(AssetOwner.asset, AssetOwner.owner).order_by(AssetOwner.asset))
    return [Owned(asset, owner) for asset, owner in rows]


def keep(uow: UnitOfWork, actor: Actor, wanted: Iterable[Owned]) -> int:
    """Make these lines all there are; how many were added, changed or taken away. Raises Forbidden."""
    permissions.require(actor, CHANGE_GUARDS.name)
    now, then = {one.asset: one.owner for one in wanted}, {one.asset: one.owner for one in listed(uow)}
    gone, new = sorted(then.keys() - now.keys()), {asset: owner for asset, owner in now.items() if then.get(asset) != owner}
    if not gone and not new:
        return 0
    for assets in (gone, sorted(new)):
        for start in range(0, len(assets), 500):
            uow.execute(delete(AssetOwner).where(AssetOwner.asset.in_(assets[start : start + 500])))
    uow.add_all(AssetOwner(asset=asset, owner=owner, created_at=uow.now) for asset, owner in new.items())
    body = {"kept": len(new), "removed": len(gone)}
    told = {"kept": dict(sorted(new.items())[:100]), "removed": gone[:100]}
    record(uow, actor, Fact(facts.OWNERS_CHANGED, (Ref("setting", "owners"),), body, told))
    return len(gone) + len(new)


def of(session: Session, assets: Iterable[str]) -> dict[str, str]:
    """The owner of each of these that has one, by the asset as it was asked: its whole name, else its first label, else a domain above it."""
    asked = {asset: _names(asset) for asset in assets}
    wanted = sorted({name for names in asked.values() for name in names})
    known: dict[str, str] = {}
    for start in range(0, len(wanted), 500):
        rows = session.execute(select(AssetOwner.asset, AssetOwner.owner).where(AssetOwner.asset.in_(wanted[start : start + 500])))
        known |= {row.asset: row.owner for row in rows}
    return {asset: known[name] for asset, names in asked.items() if (name := next((n for n in names if n in known), None))}


def _names(asset: str) -> list[str]:
    """How an asset may stand in the list, the nearest first."""
    name = asset.strip().lower().rstrip(".")[:255]
    labels = name.split(".")
    if len(labels) == 1 or " " in name or all(label.isdigit() for label in labels) or ":" in name:
        return [name]
    above = [".".join(labels[start:]) for start in range(1, min(len(labels) - 1, 8))]
    return [name, labels[0], *above]
