"""What an installation that has run for years holds: plausible incidents, alerts and all that hangs on them, by number.

Number 0 is the newest, one a minute back in time; the same number always gives the same rows, so a filled database can be
filled further, and a reader knows what is in it.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple


from bench.load import body_for
from core import journal
from core.types import from_micros, to_micros
from incidents.indexing import words_of
from incidents.keys import written
from incidents.models import Alert, AlertDelivery, Incident, Milestone, Observable, SearchWord, Sighting
from incidents.observables import observable_id
from ingest.models import Delivery

HOSTS, ADDRESSES, OWNERS = 5_000, 50_000, 500
OPEN_ONE_IN = 100
SOURCE = "01a00000000070008000000000000001"
_TITLES = (
    ("Malware found on", "malware"), ("Login from abroad on", "login"), ("Port scan by", "intrusion"),
    ("Phishing link opened on", "phishing"), ("Secret pushed from", "secret"), ("Policy broken on", "policy"),
    ("Lateral movement towards", "intrusion"), ("Web attack against", "web_attack"), ("Beaconing from", "malware"),
    ("Service down on", "availability"),
)  # fmt: skip
_SEVERITIES = ("low", "medium", "medium", "high", "high", "medium", "low", "critical")
_MINUTE, _HOUR = 60_000_000, 3_600_000_000
_BODY = body_for("tocsin").encode()[:400]


class Spelling(NamedTuple):
    """How a database takes values: an instant given in microseconds, bytes, and nothing."""

    at: Callable[[int], Any]
    raw: Callable[[bytes], Any]
    nothing: Any


class Case(NamedTuple):
    """One alert with its incident; ids are 32 hexadecimal digits, instants are spelled already."""

    number: int
    micros: int
    at: Any
    later: Any
    alert: str
    incident: str
    delivery: str
    entry: str
    key: str
    title: str
    words: tuple[str, ...]
    category: str
    severity: str
    host: str
    host_seen: str
    address: str
    address_seen: str
    owner: str
    closed_at: Any
    open: bool


class Filling(NamedTuple):
    """Rows of one table: which columns differ from row to row, what the others hold, and the rows of a case."""

    table: Any  # its model's Table
    columns: tuple[str, ...]
    rest: dict[str, Any]
    rows: Callable[[Case, Spelling], Iterable[tuple[Any, ...]]]


def cases(base: datetime, numbers: Iterable[int], spelling: Spelling) -> Iterator[Case]:
    """The cases of these numbers; `base` is when the newest happened."""
    hosts = [
        (name, observable_id("host", name).hex, tuple(words_of(name))) for name in map(host, range(HOSTS))
    ]
    seen = [(name, observable_id("ipv4-addr", name).hex) for name in map(address, range(ADDRESSES))]
    titles = [(text, category, tuple(words_of(text))) for text, category in _TITLES]
    start = to_micros(base)
    for number in numbers:
        noise = hashlib.blake2b(number.to_bytes(8, "big"), digest_size=36).hexdigest()
        spread = int(noise[:8], 16)
        micros = start - number * _MINUTE
        title, category, words = titles[spread % len(titles)]
        name, host_seen, host_words = hosts[spread // 16 % HOSTS]
        value, value_seen = seen[spread // 32 % ADDRESSES]
        is_open = number % OPEN_ONE_IN == 0
        alert, incident, delivery, entry = (_id(micros, noise, part) for part in range(4))
        yield Case(
            number, micros, spelling.at(micros), spelling.at(micros + _HOUR), alert, incident, delivery, entry,
            written(2000 + number % 20, 1_000_000 + number), f"{title} {name}", words + host_words, category,
            _SEVERITIES[spread // 7 % len(_SEVERITIES)], name, host_seen, value, value_seen, owner(spread // 64 % OWNERS),
            spelling.nothing if is_open else spelling.at(micros + (2 + spread % 40) * _HOUR), is_open,
        )  # fmt: skip


def host(number: int) -> str:
    """One of the hosts that are seen again and again."""
    return f"ws{number:04d}"


def address(number: int) -> str:
    """One of the addresses that are seen again and again."""
    return f"198.{18 + number // 65_536}.{number // 256 % 256}.{number % 256}"


def owner(number: int) -> str:
    """One of those who own incidents; the first is who reads the pages that are measured."""
    return f"01a00000000070008000{0x1000 + number:012x}"


def observables(base: datetime, spelling: Spelling) -> Iterator[tuple[Any, ...]]:
    """Everything that is seen: hosts and addresses."""
    at = spelling.at(to_micros(base))
    for name in map(host, range(HOSTS)):
        yield observable_id("host", name).hex, at, "host", name
    for name in map(address, range(ADDRESSES)):
        yield observable_id("ipv4-addr", name).hex, at, "ipv4-addr", name


OBSERVABLES = (Observable.__table__, ("id", "created_at", "type", "value"))


def newest() -> datetime:
    """A base for cases: an hour ago, to the second."""
    return datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)


def _id(micros: int, noise: str, part: int) -> str:
    """A UUIDv7 of that moment whose random part is told from the case."""
    random = noise[8 + part * 16 : 24 + part * 16]
    return f"{micros // 1000 & 0xFFFFFFFFFFFF:012x}7{part:03x}8{random[1:]}"


def _incidents(case: Case, spelling: Spelling) -> Iterable[tuple[Any, ...]]:
    nobody = spelling.nothing
    yield (
        case.incident, case.at, case.key, case.title, case.severity, "triage" if case.open else "closed",
        nobody if case.open and case.number % 300 == 0 else case.owner, case.category, case.at, case.closed_at,
        nobody if case.open else "false_positive", f"{case.host}:{case.number}", case.later, case.closed_at,
    )  # fmt: skip


def _alerts(case: Case, spelling: Spelling) -> Iterable[tuple[Any, ...]]:
    entities = (
        f'[{{"type":"host","value":"{case.host}","role":"target"}},'
        f'{{"type":"ipv4-addr","value":"{case.address}","role":"source"}}]'
    )
    ends = spelling.at(case.micros + 90_000 * _HOUR) if case.open else case.closed_at
    yield (
        case.alert, case.at, f"1:{case.alert[:8]}{case.incident[16:]}{case.delivery[16:]}", f"alert-{case.number}", case.title,
        case.severity, case.category, entities, case.at, case.at, case.at, ends, case.closed_at,
        spelling.nothing if case.open else "quiet", case.incident, case.at,
    )  # fmt: skip


def _sightings(case: Case, spelling: Spelling) -> Iterable[tuple[Any, ...]]:
    for place, (of, role) in enumerate(((case.host_seen, "target"), (case.address_seen, "source"))):
        for made, alert in (
            (f"{case.alert[:16]}8a{place:02x}", case.alert),
            (f"{case.alert[:16]}8b{place:02x}", spelling.nothing),
        ):
            yield f"{made}{case.alert[20:]}", case.at, of, alert, case.incident, role, case.at, case.at


def _words(case: Case, _spelling: Spelling) -> Iterable[tuple[Any, ...]]:
    for word in case.words:
        yield word, "alert", case.at, case.alert
        yield word, "incident", case.at, case.incident
    key = case.key.lower()
    for word in (key, *key.split("-")):
        yield word, "incident", case.at, case.incident


def _journal(case: Case, spelling: Spelling) -> Iterable[tuple[Any, ...]]:
    body = (
        f'{{"actor":{{"id":"{SOURCE}","kind":"source","name":"bench"}},"at":"{from_micros(case.micros).isoformat()}",'
        f'"body":{{"key":"{case.key}"}},"data":null,"id":"{case.entry}",'
        f'"refs":[["incident","{_dashed(case.incident)}"]],"verb":"incident.opened"}}'
    )
    yield case.entry, case.at, spelling.raw(body.encode())


def _dashed(digits: str) -> str:
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


FILLINGS = (
    Filling(
        Incident.__table__,
        ("id", "created_at", "key", "title", "severity", "stage", "owner_id", "category", "opened_at", "closed_at",
         "disposition", "group_key", "group_until", "group_released_at"),
        {"source": "bench", "alert_count": 1, "group_rule": "High and above", "group_why": "severity high"}, _incidents,
    ),
    Filling(
        Alert.__table__,
        ("id", "created_at", "fingerprint", "external_id", "title", "severity", "category", "entities", "occurred_at",
         "first_seen", "last_seen", "quiet_until", "ended_at", "ended_by", "incident_id", "indexed_at"),
        {"source_id": SOURCE, "source": "bench", "connector": "generic_json", "trust": "normal"}, _alerts,
    ),
    Filling(
        Sighting.__table__,
        ("id", "created_at", "observable_id", "alert_id", "incident_id", "role", "first_seen", "last_seen"),
        {"added_by": "bench"}, _sightings,
    ),
    Filling(
        Delivery.__table__, ("id", "received_at", "digest", "processed_at"),
        {"source_id": SOURCE, "body": _BODY, "content_type": "application/json", "headers": "{}", "size": len(_BODY),
         "state": "processed", "alerts": 1},
        lambda case, spelling: [(case.delivery, case.at, spelling.raw(case.alert.encode()), case.at)],
    ),
    Filling(
        AlertDelivery.__table__, ("alert_id", "delivery_id", "received_at"), {"slot": 1},
        lambda case, _spelling: [(case.alert, case.delivery, case.at)],
    ),
    Filling(SearchWord.__table__, ("word", "kind", "at", "thing_id"), {}, _words),
    Filling(
        journal.JournalEntry.__table__, ("id", "at", "body"),
        {"actor_kind": "source", "actor_id": SOURCE, "verb": "incident.opened"}, _journal,
    ),
    Filling(
        journal.JournalRef.__table__, ("ref_id", "entry"), {"kind": "incident"},
        lambda case, _spelling: [(_dashed(case.incident), case.entry)],
    ),
    Filling(
        Milestone.__table__, ("id", "created_at", "incident_id", "at"), {"kind": "opened", "set_by": "bench"},
        lambda case, _spelling: [(case.entry, case.at, case.incident, case.at)],
    ),
)  # fmt: skip
