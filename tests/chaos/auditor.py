"""Compares the ledger that was kept outside with what the database says, in plain SQL, past all of Tocsin's own code."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ledger import Ledger, Post, Product
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.exc import SQLAlchemyError

# The kinds of call: whether a product can be asked (probe), may be told twice (idempotent), or neither.
KINDS = {"okta.clear_sessions": "idempotent", "okta.suspend_user": "probe", "http.request": "neither"}
_ENDED = ("succeeded", "failed", "refused", "cancelled")
_SHOWN = 5


@dataclass
class Findings:
    """The figures of an audit, and a sentence for whatever is not as promised."""

    figures: dict[str, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def none(self, what: str, found: Iterable[Any]) -> None:
        """A figure that must be 0; says some of what was found."""
        all_ = list(found)
        self.figures[what] = len(all_)
        if all_:
            self.broken.append(f"{what}: {len(all_)}, such as {all_[:_SHOWN]}")


class Auditor:
    """Looks into one installation's database."""

    def __init__(self, database_url: str, ledger: Ledger, product: Product, post: Post) -> None:
        url = make_url(database_url)
        if url.get_backend_name() == "postgresql":
            url = url.set(drivername="postgresql+psycopg")
        self._engine: Engine = create_engine(url)
        self._ledger, self._product, self._post = ledger, product, post

    def close(self) -> None:
        """Let the database go."""
        self._engine.dispose()

    def rows(self, statement: str) -> list[Any]:
        """What a statement reads."""
        with self._engine.connect() as connection:
            return list(connection.execute(text(statement)))

    def left(self) -> dict[str, int]:
        """What still waits to be done, by table; empty when all is quiet. What waits for a person is done."""
        statements = {
            "deliveries": "SELECT count(*) FROM deliveries WHERE due_at IS NOT NULL",
            "outbox": "SELECT count(*) FROM outbox WHERE due_at IS NOT NULL",
            "runs": f"SELECT count(*) FROM runs WHERE state NOT IN {_ENDED} AND NOT ({_ASKS})",
            "calls": "SELECT count(*) FROM action_calls WHERE state IN ('intended', 'calling')",
            "page attempts": "SELECT count(*) FROM page_attempts WHERE state IN ('pending', 'sending')",
        }
        now = "clock_timestamp()" if self._engine.dialect.name == "postgresql" else _SQLITE_NOW
        statements["escalations"] = f"SELECT count(*) FROM pages WHERE due_at <= {now}"
        try:
            found = {name: int(self.rows(statement)[0][0]) for name, statement in statements.items()}
        except SQLAlchemyError as error:
            return {type(error).__name__: 1}
        return {name: count for name, count in found.items() if count}

    def audit(self) -> Findings:
        """Everything that is promised, checked."""
        findings = Findings()
        for look in (self._alerts, self._incidents, self._runs, self._calls, self._pages, self._aside):
            look(findings)
        return findings

    def _alerts(self, findings: Findings) -> None:
        acknowledged = self._ledger.acknowledged
        kept = {_hex(row.id): row for row in self.rows("SELECT id, digest, state, parked_at FROM deliveries")}
        by_digest = Counter(bytes(row.digest).hex() for row in kept.values())
        alerts = {row.external_id: row.count for row in self.rows("SELECT external_id, count FROM alerts")}
        number = Counter(row.external_id for row in self.rows("SELECT external_id FROM alerts"))
        findings.figures["alerts acknowledged"] = len(acknowledged)
        findings.figures["receipts given"] = sum(len(one.receipts) for one in acknowledged)
        findings.figures["alerts found"] = sum(1 for one in acknowledged if number[one.id] == 1)
        findings.none("receipts without their delivery", (
            one.id for one in acknowledged
            if _hex(one.receipts[0]) not in kept or bytes(kept[_hex(one.receipts[0])].digest).hex() != one.digest
        ))  # fmt: skip
        findings.none("acknowledged alerts lost", (one.id for one in acknowledged if number[one.id] == 0))
        findings.none("alerts there twice", (name for name, times in number.items() if times > 1))
        findings.none("alerts counted twice", (name for name, times in alerts.items() if times != 1))
        findings.none(
            "duplicates of a delivery key", (name for name, times in by_digest.items() if times > 1)
        )
        findings.none(
            "two receipts for one delivery", (one.id for one in acknowledged if len(set(one.receipts)) > 1)
        )
        findings.none("deliveries set aside", (key for key, row in kept.items() if row.state != "processed"))

    def _incidents(self, findings: Findings) -> None:
        hosts = {one.host for one in self._ledger.acknowledged if one.host}
        rows = self.rows("SELECT group_key, title FROM incidents")
        findings.figures["incidents"] = len(rows)
        by_key, by_host = Counter(row.group_key for row in rows), Counter(row.title[9:] for row in rows)
        findings.none("grouping keys with two incidents", (key for key, times in by_key.items() if times > 1))
        findings.none("incidents opened twice", (host for host, times in by_host.items() if times > 1))
        findings.none("incidents not opened", (host for host in hosts if by_host[host] == 0))

    def _runs(self, findings: Findings) -> None:
        rows = self.rows(f"SELECT id, state, subject_id, ({_ASKS}) AS asks FROM runs")
        states = Counter(
            "waiting for a person" if row.asks and row.state == "waiting" else row.state for row in rows
        )
        findings.figures |= {f"runs {state}": times for state, times in sorted(states.items())}
        fine = ("succeeded", "waiting for a person")
        findings.none("runs neither ended nor waiting visibly", (
            f"{row.id} {row.state}" for row in rows if row.state not in _ENDED and not row.asks
        ))  # fmt: skip
        findings.none(
            "runs that ended badly",
            (state for state in states.elements() if state in _ENDED and state not in fine),
        )
        per_incident = Counter(_hex(row.subject_id) for row in rows)
        incidents = [_hex(row.id) for row in self.rows("SELECT id FROM incidents")]
        findings.none(
            "incidents without exactly one run", (key for key in incidents if per_incident[key] != 1)
        )

    def _calls(self, findings: Findings) -> None:
        titles = {_hex(row.id): row.title for row in self.rows("SELECT id, title FROM incidents")}
        received = {
            "okta.clear_sessions": self._product.ended_sessions, "okta.suspend_user": self._product.suspended,
            "http.request": self._product.isolated,
        }  # fmt: skip
        rows = self.rows("SELECT action, state, subject_id FROM action_calls")
        for action, kind in KINDS.items():
            states = [(titles[_hex(row.subject_id)][9:], row.state) for row in rows if row.action == action]
            came = received[action]
            findings.figures |= {
                f"calls, {kind}: asked for": len(states),
                f"calls, {kind}: done": sum(1 for host, _ in states if came[host]),
                f"calls, {kind}: received": came.total(),
                f"calls, {kind}: unknown": sum(1 for _, state in states if state == "unknown"),
            }
            findings.none(f"calls, {kind}: said to be done and not received", (
                host for host, state in states if state == "succeeded" and came[host] == 0
            ))  # fmt: skip
            findings.none(f"calls, {kind}: neither done nor unknown", (
                f"{host} {state}" for host, state in states if state not in ("succeeded", "unknown")
            ))  # fmt: skip
            findings.none(f"calls, {kind}: asked for twice", (
                host for host, times in Counter(host for host, _ in states).items() if times > 1
            ))  # fmt: skip
            if kind != "idempotent":
                findings.none(
                    f"calls, {kind}: received twice", (host for host, times in came.items() if times > 1)
                )
            if kind != "neither":
                findings.none(
                    f"calls, {kind}: left unknown", (host for host, state in states if state == "unknown")
                )

    def _pages(self, findings: Findings) -> None:
        arrived = self._post.by_id()
        tries: dict[str, list[str]] = defaultdict(list)
        sent_by: dict[str, set[str]] = defaultdict(set)  # target → sendings
        for row in self.rows("SELECT target_id, send_id, state FROM page_attempts WHERE channel = 'email'"):
            tries[_hex(row.send_id)].append(row.state)
            sent_by[_hex(row.target_id)].add(_hex(row.send_id))
        came = Counter({_hex(name): times for name, times in arrived.items()})
        targets = self.rows("SELECT id, page_id, bundle_id, due_at FROM page_targets")
        gathering = {_hex(row.id) for row in targets if row.page_id is None and row.due_at is not None}
        heard: set[str] = set()
        waits: set[str] = set()
        for row in targets:
            if row.page_id is None:
                continue
            ways = sent_by[_hex(row.id)] | (sent_by[_hex(row.bundle_id)] if row.bundle_id else set())
            if any(came[way] for way in ways):
                heard.add(_hex(row.page_id))
            elif row.bundle_id and _hex(row.bundle_id) in gathering:
                waits.add(_hex(row.page_id))
        pages = [
            (_hex(row.id), _hex(row.subject_id)) for row in self.rows("SELECT id, subject_id FROM pages")
        ]
        incidents = {_hex(row.id) for row in self.rows("SELECT id FROM incidents")}
        twice = {name for name, times in came.items() if times > 1}
        findings.figures |= {
            "pages": len(pages),
            "pages that arrived": len(heard),
            "pages gathered, not yet due": len(waits - heard),
            "page attempts of unknown outcome": sum(states.count("unknown") for states in tries.values()),
            "mails that arrived twice, outcome unknown": sum("unknown" in tries[name] for name in twice),
        }
        findings.none("pages lost", (page for page, _ in pages if page not in heard and page not in waits))
        findings.none("incidents nobody was paged for", incidents - {subject for _, subject in pages})
        findings.none(
            "mails that arrived twice without need", (name for name in twice if "unknown" not in tries[name])
        )
        findings.none("mails said to be sent that did not arrive", (
            name for name, states in tries.items() if "sent" in states and not came[name]
        ))  # fmt: skip

    def _aside(self, findings: Findings) -> None:
        """What is parked: only what is unknown may be."""
        for table in ("deliveries", "outbox", "runs", "pages", "page_attempts", "page_targets"):
            findings.none(f"{table} parked", (
                row.error for row in self.rows(f"SELECT error FROM {table} WHERE parked_at IS NOT NULL")
            ))  # fmt: skip


_ASKS = (
    "EXISTS (SELECT 1 FROM waits WHERE waits.run_id = runs.id AND waits.kind = 'approval' "
    "AND waits.answered_at IS NULL AND waits.closed_at IS NULL)"
)

_SQLITE_NOW = "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)"


def _hex(value: Any) -> str:
    return str(value).replace("-", "")
