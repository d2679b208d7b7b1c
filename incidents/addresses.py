"""Which host has which address: learnt from alerts that name both, so that those that name an address alone join its host's."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
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
_TRUSTED = ("high", "normal")
"""Whose claims are believed, the better proved first."""
_MOST_CLAIMS = 4
"""Two different hosts make an address ambiguous; more than this many need not be kept."""
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


def learn(uow: UnitOfWork, circle: str, trust: str, episodes: Sequence[Episode]) -> None:
    """Note which addresses the hosts have that these episodes of a source name; `circle` keeps apart who must not mix.

    Nothing is learnt from a source of low trust, from tests, nor from what is ignored. A source in its first day teaches as
    others do: its hosts are as real, and what is learnt only groups.
    """
    if trust not in _TRUSTED:
        return
    found: dict[tuple[str, str], datetime] = {}
    for episode in episodes:
        if episode.acceptance_id is not None:
            continue
        for item in episode.items:
            at = min(item.draft.occurred_at or item.received_at, item.received_at)
            if item.draft.is_test or at <= uow.now - BELIEVED:
                continue
            for address, host in _named_together((one.type, one.value, one.role) for one in item.draft.entities):
                claim = _key(circle, address), host
                found[claim] = max(at, found.get(claim, at))
    if not found:
        return
    asked = sorted({address for address, _host in found})
    query = select(_table).where(
        bulk.among(uow, _table.c.address, asked), _table.c.trust == trust, _table.c.seen_at > uow.now - BELIEVED
    )
    known = {(row.address, row.host): row.seen_at for row in uow.execute(query)}
    claims = Counter(address for address, _host in known)
    rows = []
    for (address, host), at in sorted(found.items()):
        before = known.get((address, host))
        if before is None:
            claims[address] += 1
        if (claims[address] <= _MOST_CLAIMS) if before is None else at - before > AGAIN:
            rows.append({"address": address, "host": host, "trust": trust, "seen_at": at})
    newer = (
        "ON CONFLICT (address, host, trust) DO UPDATE SET seen_at = excluded.seen_at "
        "WHERE excluded.seen_at > host_addresses.seen_at"
    )
    bulk.insert(uow, _table, rows, newer)


def homes(uow: UnitOfWork, circle: str, episodes: Iterable[Episode]) -> dict[str, Home]:
    """By fingerprint, the host of each episode that names an address but no host and no user, where that is known.

    Of fresh claims the best proved count; where those differ, the address is ambiguous and has no host.
    """
    asked = {
        episode.fingerprint: addresses
        for episode in episodes
        if not any(kind in ("host", "user") for kind, _value, _role in episode.entities)
        and (addresses := _in_order(episode))
    }
    if not asked:
        return {}
    wanted = {_key(circle, address) for addresses in asked.values() for address in addresses}
    query = select(_table.c.address, _table.c.host, _table.c.trust).where(
        bulk.among(uow, _table.c.address, sorted(wanted)), _table.c.seen_at > uow.now - BELIEVED
    )
    claims: dict[str, dict[str, set[str]]] = {}
    for row in uow.execute(query):
        claims.setdefault(row.address, {}).setdefault(row.trust, set()).add(row.host)
    known = {address: _believed(by_trust) for address, by_trust in claims.items()}
    found = {}
    for name, addresses in asked.items():
        for address in addresses:
            if host := known.get(_key(circle, address)):
                found[name] = Home(host, address)
                break
    return found


def forget(uow: UnitOfWork) -> int:
    """Drop what is not believed any more; returns how many claims."""
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


def _believed(by_trust: Mapping[str, set[str]]) -> str | None:
    """The one host that the best proved claims name."""
    best = next((hosts for trust in _TRUSTED if (hosts := by_trust.get(trust))), set())
    return next(iter(best)) if len(best) == 1 else None


def _key(circle: str, address: str) -> str:
    return f"{address}{circle}"


def hosted(entities: Sequence[tuple[str, str, str]], home: Home | None) -> list[tuple[str, str, str]]:
    """The entities as rules that group judge them: with the host that the address stands for."""
    return [*entities, ("host", home.host, "target")] if home is not None else list(entities)

