"""The `people` of a test: real users in its database, as actors, one for each role."""

import importlib
from dataclasses import dataclass, replace

import pytest
from tables_ready import PACKAGES, ROOT

from core.actors import SYSTEM, Actor


@dataclass(frozen=True)
class People:
    """Ana administers, Rita and Raul respond, Mara manages, Aldo audits; each `<name>@example.org`.

    Each has shown a second factor when the test begins, as at a session that has just been signed in to; a test that
    needs somebody who has not says `unproved(people.rita)`.
    """

    ana: Actor
    rita: Actor
    raul: Actor
    mara: Actor
    aldo: Actor

    @property
    def admin(self) -> Actor:
        """Ana."""
        return self.ana

    @property
    def responder(self) -> Actor:
        """Rita."""
        return self.rita

    @property
    def manager(self) -> Actor:
        """Mara."""
        return self.mara

    @property
    def auditor(self) -> Actor:
        """Aldo."""
        return self.aldo


def unproved(actor: Actor) -> Actor:
    """The same person at a session that never showed a second factor."""
    return replace(actor, proved_at=None)


_ROLES = {
    "ana": "administrator",
    "rita": "responder",
    "raul": "responder",
    "mara": "manager",
    "aldo": "auditor",
}


@pytest.fixture
def people(request: pytest.FixtureRequest) -> People:
    """Five users in the test's database (`database`, or the one-engine fixture that the test asks for)."""
    chosen = [name for name in ("sqlite_database", "postgresql_database") if name in request.fixturenames]
    request.getfixturevalue(chosen[0] if chosen else "database")
    from core.auth import users
    from core.db import unit_of_work

    for package in PACKAGES:
        if (ROOT / package / "permissions.py").exists():
            importlib.import_module(f"{package}.permissions")
    with unit_of_work() as uow:
        made = {
            name: users.create(uow, SYSTEM, email=f"{name}@example.org", name=name.title(), roles=[role])
            for name, role in _ROLES.items()
        }
        actors = {name: users.actor_of(user, uow.now) for name, user in made.items()}
    return People(**actors)
