"""Takes a value out of the record of an incident, bite by bite: each is a short transaction that says where to go on after a kill."""

import time
from collections.abc import Mapping
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import delete, literal, or_, select, update

from core import bulk, held_files, journal_redaction, live, places, secrets, work
from core.actors import Actor
from core.db import UnitOfWork, reading, unit_of_work
from core.errors import NotFound
from core.ids import new_id
from core.journal import Fact, record
from core.redaction import Redactor, mask
from core.seeking import Seeker
from core.types import Ref
from core.work import Claim
from incidents import facts, indexing
from incidents.looking_into import HELD, UNREAD, Looked, look
from incidents.models import Alert, Disclosure, Observable, Redaction, SearchWord, Sighting, Verdict

WORK = "incidents.redactions"
PURPOSE = "incident.redaction"
BITE = 200
"""Rows of one transaction."""
LIST = 5_000
"""Rows whose ids are listed at once."""
PAUSE = 0.02
"""Seconds between two bites, in which others write."""
TURN = 3.0
"""Seconds of one turn: a process that stops does not wait for more."""
OBSERVABLES, JOURNAL, FILES = "observables", "entries of the journal", "files"
_MOST_TOLD = 200


def begin(uow: UnitOfWork, actor: Actor, incident_id: UUID, payload: Mapping[str, Any]) -> None:
    """Have a sealed value (of `payload`, with reason, keep and also) taken out by a worker."""
    value = secrets.unseal(payload["value"], PURPOSE)
    uow.add(Redaction(
        id=new_id(), created_at=uow.now, due_at=uow.now, incident_id=incident_id, value=payload["value"],
        shown=mask(value), reason=payload["reason"], keep=dict(payload.get("keep") or {}), also=list(payload.get("also") or ()),
        step=steps()[0], actor_kind=actor.kind.value, actor_id=actor.id, actor_name=actor.name,
    ))  # fmt: skip
    uow.wake(WORK)


def steps() -> list[str]:
    """What is gone through, in order."""
    return [*(place.name for place in places.declared()), OBSERVABLES, JOURNAL, FILES]


class _Turn:
    """Some seconds of work on one redaction; the ids that are to be looked at next are kept between its bites."""

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        with reading() as session:
            row = session.get(Redaction, claim.id)
        if row is None or row.value is None:
            raise NotFound("There is nothing to take out any more.")
        self.incident = row.incident_id
        self.step, self.after = row.step, row.after
        if self.step not in steps():  # a package went with an upgrade: what was done is done again, and finds nothing
            self.step, self.after = steps()[0], None
        self.value = secrets.unseal(row.value, PURPOSE)
        self.values, self.seeker = Redactor([self.value]), Seeker(self.value)
        self.keep, self.also = row.keep, row.also
        self.ids: list[Any] = []
        self.names: dict[str, str] = {}

    def bite(self) -> bool:
        """Do a little more; False when everything is done."""
        if not self.ids:
            self.ids = self._listed()
        if not self.ids:
            return self._next_step()
        size = 1 if self.step == FILES else BITE
        some, self.ids = self.ids[:size], self.ids[size:]
        looked = look(some[0], self.names[some[0]], self.seeker) if self.step == FILES else None
        with unit_of_work() as uow:
            row = self._mine(uow)
            if looked is not None:
                self._file(uow, row, looked)
            elif self.step == OBSERVABLES:
                self._counted(row, _observables(uow, self.incident, some, self.values))
            elif self.step == JOURNAL:
                self._erased(row, journal_redaction.erase(uow, some, self.values))
            else:
                self._rows(uow, row, some)
            self.after = str(some[-1])
            row.after, row.looked = self.after, row.looked + len(some)
        return True

    def _mine(self, uow: UnitOfWork) -> Redaction:
        row = uow.get(Redaction, self.claim.id, with_for_update=True)
        if row is None or row.fence != self.claim.fence or row.lease_until is None:
            raise work.LostLease(f"{WORK} {self.claim.id} was taken over by another worker")
        return row

    def _listed(self) -> list[Any]:
        with reading() as session:
            if self.step == FILES:
                self.names = dict(held_files.of_subject(session, self.incident))
                return sorted(one for one in self.names if self.after is None or one > self.after)
            after = UUID(self.after) if self.after is not None else None
            if self.step == JOURNAL:
                return journal_redaction.about(session, Ref("incident", str(self.incident)), after, LIST)
            if self.step == OBSERVABLES:
                named = select(Sighting.observable_id).where(_seen(self.incident)).distinct()
                if after is not None:
                    named = named.where(Sighting.observable_id > after)
                return list(session.scalars(named.order_by(Sighting.observable_id).limit(LIST)))
            place = next(one for one in places.declared() if one.name == self.step)
            return places.ids(session, place, self.incident, self.after, LIST)

    def _next_step(self) -> bool:
        place = steps().index(self.step) + 1
        with unit_of_work() as uow:
            row = self._mine(uow)
            if place == len(steps()):
                _end(uow, row, self.claim, self.value)
                return False
            row.step, row.after = steps()[place], None
            self.step, self.after = row.step, None
        return True

    def _rows(self, uow: UnitOfWork, row: Redaction, some: list[Any]) -> None:
        place = next(one for one in places.declared() if one.name == self.step)
        changed = places.take_out(uow, place, some, self.values)
        self._counted(row, len(changed))
        if place.model is Alert:
            _index_anew(uow, changed)
        if place.ref is not None and place.ref != "incident":  # its entries are a step of their own: there may be many
            self._erased(row, journal_redaction.erase_about(uow, place.ref, [str(one) for one in some], self.values))

    def _counted(self, row: Redaction, number: int) -> None:
        if number:
            row.counts = {**row.counts, self.step: row.counts.get(self.step, 0) + number}

    def _erased(self, row: Redaction, erased: journal_redaction.Erased) -> None:
        row.entries += len(erased.entries)
        if erased.sealed:
            row.sealed = sorted({*row.sealed, *map(str, erased.sealed)})

    def _file(self, uow: UnitOfWork, row: Redaction, looked: Looked) -> None:
        """Take a file away, or say why it stays."""
        if looked.clear:
            return
        told = {"digest": looked.digest, "name": self.values.text(looked.name)[:200], "size": looked.size, "found": looked.found}
        why = row.keep.get(looked.digest) if looked.found == HELD else None
        if why is not None or (looked.found == UNREAD and looked.digest not in row.also):
            row.files = [*row.files, {**told, "what": "kept" if why is not None else "not looked into", "why": why or ""}]
            return
        said = "it held a value that was taken out of the record" if looked.found == HELD else "nobody could look into it when a value was taken out of the record"
        refs, gone = held_files.let_go(uow, row.incident_id, looked.digest, f"{said}: {row.reason}")
        body = {"sha256": looked.digest, "size": looked.size, "media_type": looked.media_type, "found": looked.found, "bytes_gone": gone}
        data = {"name": told["name"], "reason": f"{said}: {row.reason}"}
        about = (Ref("incident", str(row.incident_id)), *refs)
        record(uow, row.by, Fact(facts.ATTACHMENT_REMOVED, about, body, data))
        row.files = [*row.files, {**told, "what": "taken away", "why": "" if gone else "others hold the same bytes"}]


def _end(uow: UnitOfWork, row: Redaction, claim: Claim, value: str) -> None:
    """Write down what was found; the value stays nowhere."""
    indexing.index_incident(uow, row.incident_id)
    by_what = {what: sum(1 for one in row.files if one["what"] == what) for what in ("taken away", "kept", "not looked into")}
    body = {
        "value": mask(value), "places": dict(row.counts), "entries": row.entries, "sealed": len(row.sealed),
        "looked": row.looked, "files_taken": by_what["taken away"], "files_kept": by_what["kept"],
        "files": by_what["not looked into"],
    }  # fmt: skip
    told = [{"name": one["name"], "what": one["what"], "why": one["why"]} for one in row.files[:_MOST_TOLD]]
    data = {"reason": row.reason, **({"files": told} if told else {})}
    ref = Ref("incident", str(row.incident_id))
    record(uow, row.by, Fact(facts.INCIDENT_REDACTED, (ref,), body, data))
    row.value, row.ended_at = None, uow.now
    uow.flush()
    work.finish(uow, KIND, claim)


def _index_anew(uow: UnitOfWork, alerts: list[UUID]) -> None:
    """What was changed is found by its new words, soon."""
    mine = bulk.among(uow, SearchWord.thing_id, alerts)
    uow.execute(delete(SearchWord).where(SearchWord.kind == "alert", mine))
    for alert in uow.scalars(select(Alert).where(bulk.among(uow, Alert.id, alerts))):
        alert.indexed_at = None
    uow.flush()


def _seen(incident: UUID) -> Any:
    alerts = select(Alert.id).where(Alert.incident_id == incident)
    return or_(Sighting.incident_id == incident, Sighting.alert_id.in_(alerts))


def _observables(uow: UnitOfWork, incident: UUID, some: list[UUID], values: Redactor) -> int:
    """Values that hold it become what stays of it; where others have seen one too, this incident lets go of it. Returns how many."""
    mine = _seen(incident)
    rows = uow.scalars(select(Observable).where(bulk.among(uow, Observable.id, some)))
    going = [one for one in rows if values.text(one.value) != one.value]
    for one in going:
        ours = select(Sighting.id).where(Sighting.observable_id == one.id, mine)
        others = select(Sighting.id).where(Sighting.observable_id == one.id, Sighting.id.not_in(ours))
        if uow.scalar(others.limit(1)) is None:
            one.value = values.text(one.value)
            continue
        seen = delete(Sighting).where(Sighting.observable_id == one.id, mine)
        judged = delete(Verdict).where(Verdict.observable_id == one.id, Verdict.incident_id == incident)
        told = update(Disclosure).where(Disclosure.observable_id == one.id, Disclosure.incident_id == incident)
        for statement in (seen, judged, told.values(observable_id=None)):
            uow.execute(statement.execution_options(synchronize_session=False))
    uow.flush()
    return len(going)


def _handle(claims: list[Claim]) -> None:
    for claim in claims:
        end, turn = time.monotonic() + TURN, _Turn(claim)
        more = True
        while more and time.monotonic() < end:
            more = turn.bite()
            time.sleep(PAUSE)
        with unit_of_work() as uow:
            if more:
                work.later(uow, KIND, claim, uow.now)
                uow.wake(WORK)
            uow.after_commit(partial(live.publish, [Ref("incident", str(turn.incident))]))


KIND = work.register(
    work.WorkKind(
        WORK, Redaction, _handle, batch=1, concurrency=1,
        about=[select(Redaction.id, literal("incident"), Redaction.incident_id)],
    )
)  # fmt: skip
