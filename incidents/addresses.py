"""Which host has which address: learnt from alerts that name both, so that those that name an address alone join its host's."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select

from core import bulk
from core.db import UnitOfWork
from incidents.alert_models import HostAddress
from incidents.episodes import Episode

BELIEVED = timedelta(hours=24)
"""Addresses move: what was seen longer ago is not believed."""
AGAIN = timedelta(hours=1)
"""What is known is written again only after this."""
_VICTIM = ("target", "victim")
_ADDRESSES = ("ipv4-addr", "ipv6-addr")
_PLACES = ("victim", "target", "artifact", "actor", "source", "observer")

_table: Any = HostAddress.__table__


@dataclass(frozen=True)
class Home:
    """The host that an address belongs to."""

    host: str
    address: str

    def why(self) -> str:
        """Added to the reason of whatever was grouped because of it."""
        return f"{self.address} is {self.host}"


def learn(uow: UnitOfWork, circle: str, episodes: Sequence[Episode]) -> None:
    """Note which addresses the hosts have that these episodes name; `circle` keeps apart who must not mix."""
    found: dict[str, tuple[str, datetime]] = {}
    for episode in episodes:
        for item in episode.items:
            pairs = _named_together((one.type, one.value, one.role) for one in item.draft.entities)
            at = min(item.draft.occurred_at or item.received_at, item.received_at)
            for address, host in pairs:
                key = _key(circle, address)
                if key not in found or found[key][1] <= at:
                    found[key] = host, at
    if not found:
        return
    known = {
        row.address: row
        for row in uow.execute(select(_table).where(bulk.among(uow, _table.c.address, sorted(found))))
    }
    rows = [
        {"address": key, "host": host, "seen_at": at}
        for key, (host, at) in sorted(found.items())
        if key not in known or _is_news(known[key], host, at)
    ]
    newer = (
        "ON CONFLICT (address) DO UPDATE SET host = excluded.host, seen_at = excluded.seen_at "
        "WHERE excluded.seen_at > host_addresses.seen_at"
    )
    bulk.insert(uow, _table, rows, newer)


def homes(uow: UnitOfWork, circle: str, episodes: Iterable[Episode]) -> dict[str, Home]:
    """By fingerprint, the host of each episode that names an address but no host and no user, where that is known."""
    asked = {
        episode.fingerprint: addresses
        for episode in episodes
        if not any(kind in ("host", "user") for kind, _value, _role in episode.entities)
        and (addresses := _in_order(episode))
    }
    if not asked:
        return {}
    wanted = {_key(circle, address) for addresses in asked.values() for address in addresses}
    query = select(_table.c.address, _table.c.host).where(
        bulk.among(uow, _table.c.address, sorted(wanted)), _table.c.seen_at > uow.now - BELIEVED
    )
    known = {row.address: row.host for row in uow.execute(query)}
    found = {}
    for name, addresses in asked.items():
        for address in addresses:
            if host := known.get(_key(circle, address)):
                found[name] = Home(host, address)
                break
    return found


def forget(uow: UnitOfWork) -> int:
    """Drop what is not believed any more; returns how many addresses."""
    gone = uow.execute(delete(_table).where(_table.c.seen_at < uow.now - BELIEVED).returning(_table.c.address))
    return len(gone.all())


def _named_together(entities: Iterable[tuple[str, str, str]]) -> list[tuple[str, str]]:
    """Address and host, where an alert names one host as what it happened to, and its addresses beside it."""
    there = [(kind, value) for kind, value, role in entities if role in _VICTIM]
    hosts = {value for kind, value in there if kind == "host"}
    if len(hosts) != 1:
        return []
    (host,) = hosts
    addresses = {value for kind, value in there if kind in _ADDRESSES}
    return [(address, host[:255]) for address in addresses] if len(addresses) <= 8 else []


def _in_order(episode: Episode) -> list[str]:
    """The addresses of an episode: what it happened to before who did it."""
    listed = [(role, value) for kind, value, role in episode.entities if kind in _ADDRESSES]
    return [value for _role, value in sorted(listed, key=lambda one: _place(one[0]))][:8]


def _place(role: str) -> int:
    return _PLACES.index(role) if role in _PLACES else len(_PLACES)


def _is_news(row: Any, host: str, at: datetime) -> bool:
    return bool(at > row.seen_at and (row.host != host or at - row.seen_at > AGAIN))


def _key(circle: str, address: str) -> str:
    return f"{address}{circle}"


def hosted(entities: Sequence[tuple[str, str, str]], home: Home | None) -> list[tuple[str, str, str]]:
    """The entities as rules judge them: with the host that the address stands for."""
    return [*entities, ("host", home.host, "target")] if home is not None else list(entities)

