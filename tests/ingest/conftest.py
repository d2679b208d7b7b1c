"""Senders to knock at the door: sources of the generic connector."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from core.actors import SYSTEM
from core.db import unit_of_work
from ingest import sources
from ingest.models import Source


@dataclass
class Sender:
    """A source with its secret."""

    source: Source
    secret: str

    @property
    def path(self) -> str:
        return f"/ingest/{self.source.name}"

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.secret}"}


@pytest.fixture
def sender(database) -> Callable[..., Sender]:
    """`sender(name, connector, proof=…)`: a new source."""

    def make(name: str = "tool", connector: str = "generic_json", **kwargs) -> Sender:
        with unit_of_work() as uow:
            source, secret = sources.create(uow, SYSTEM, name=name, connector=connector, **kwargs)
        return Sender(source, secret)

    return make
