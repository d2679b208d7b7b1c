"""Permissions: declared by the package that owns the action, granted to roles."""

from collections.abc import Iterable
from dataclasses import dataclass

from core.actors import Actor
from core.errors import Forbidden

ROLES = ("administrator", "responder", "manager", "auditor")
"""Roles of people; an administrator holds every permission, integrations hold what their token names."""


@dataclass(frozen=True)
class Permission:
    """One permission: its name, what it lets a person do (for screens), and the roles that have it."""

    name: str
    says: str
    roles: frozenset[str]


_declared: dict[str, Permission] = {}  # filled at import


def declare(name: str, says: str, roles: Iterable[str] = ()) -> Permission:
    """Declare a permission once, at import; administrators always have it."""
    unknown = set(roles) - set(ROLES)
    if unknown:
        raise ValueError(f"{name}: unknown roles {sorted(unknown)}")
    return _declared.setdefault(name, Permission(name, says, frozenset(roles) | {"administrator"}))


def declared() -> dict[str, Permission]:
    """All permissions, by name."""
    return dict(_declared)


def of_roles(roles: Iterable[str]) -> frozenset[str]:
    """The permissions that these roles grant together."""
    held = set(roles)
    return frozenset(p.name for p in _declared.values() if p.roles & held)


def require(actor: Actor, permission: str) -> None:
    """Raises Forbidden, naming the permission and who has it, unless the actor may."""
    if permission not in _declared:
        raise ValueError(f"{permission} is not a declared permission")
    if not actor.may(permission):
        wanted = _declared[permission]
        raise Forbidden(
            f"This needs the permission “{wanted.says}”; {', '.join(sorted(wanted.roles))} have it. "
            "Ask an administrator to change your roles.",
            permission=permission,
        )


MANAGE_USERS = declare("user.manage", "Manage users and tokens")
READ_USERS = declare("user.read", "See who works here", ("responder", "manager", "auditor"))
READ_JOURNAL = declare("journal.read", "Read the journal", ("manager", "auditor"))
MANAGE_WORK = declare("work.manage", "Replay parked work", ("responder",))
