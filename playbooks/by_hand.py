"""One action on one observable, asked for by a person: through the door that playbooks use, or as a task in words."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from connectors import calls, foreseeing, instances, registry
from connectors.calls import CallContext
from connectors.contract import Action, Effect
from connectors.foreseeing import Foreseen
from connectors.models import ActionCall
from connectors.permissions import RUN_ACTIONS
from core.actors import Actor
from core.auth import permissions
from core.db import UnitOfWork
from core.errors import Conflict, Forbidden, Invalid, NotFound, Problem
from core.types import Ref
from incidents import queries, tasks
from incidents.models import Incident, Task
from incidents.visibility import visible_refs
from playbooks import manual, wiring
from playbooks.catalogue import Catalogue
from playbooks.contract import ActionInfo
from playbooks.vocabulary import VERBS

_KEY = re.compile(r"[\w.-]{8,64}", re.ASCII)
_USED = "This key was used for something else: another action, value or product. Take a new key to ask for this."
_TAKES_BACK = ("enable", "release", "restore", "unblock", "unsuspend", "put_back")
_ADDRESSES = ("ipv4-addr", "ipv6-addr")
# What a neutral verb's input may hold, where no product of the catalogue says it.
_HOLDS: Mapping[str, tuple[str, ...]] = {
    "ip": _ADDRESSES, "domain": ("domain",), "url": ("url",), "hash": ("file-hash",), "host": ("host",), "user": ("user",),
    "sender": ("email",), "cve": ("cve",), "value": (*_ADDRESSES, "domain"), "query": ("email",),
}  # fmt: skip
_WHICH: Mapping[str, tuple[str, ...]] = {
    "edr.get_host": ("host",), "siem.search": (*_ADDRESSES, "domain", "url", "file-hash", "host", "user", "email"),
}  # fmt: skip


@dataclass(frozen=True)
class Offer:
    """Something that can be done with a value: a verb, or an action of a product that has no verb for it.

    `input` takes the value. `bound`: a configured product does it; otherwise it becomes a task.
    """

    name: str
    title: str
    effect: str
    input: str
    bound: bool = False

    @property
    def order(self) -> tuple[bool, bool, int, str]:
        """Products before people, looking before changing, taking back last."""
        bare = self.name.rpartition(".")[2]
        return (not self.bound, bare.startswith(_TAKES_BACK), Effect(self.effect).rank, self.title)


@dataclass(frozen=True)
class Wanted:
    """What a person asks for: which action, on what (its type and value), and what else the action must be told.

    `key` makes the same asking known again: 8 to 64 letters, digits, dots and hyphens. `lasts` is how long a block stays
    (None: as the guard rails say), `review` when somebody is asked about an account or a host. `bound`: what the person was
    shown, a product's doing (True) or a task (False); None where nothing was shown.
    """

    name: str
    type: str
    value: str
    key: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)
    instance: str | None = None
    reason: str = ""
    lasts: timedelta | None = None
    review: timedelta | None = None
    bound: bool | None = None


@dataclass(frozen=True)
class Look:
    """What would be done: `foreseen` by a product (None: no product of the catalogue knows the verb), `told` to a person."""

    info: ActionInfo
    offer: Offer
    inputs: dict[str, Any]
    foreseen: Foreseen | None
    told: str

    @property
    def refused(self) -> str:
        """Why the guard rails refuse it; empty when they do not."""
        verdict = self.foreseen.verdict if self.foreseen else None
        return verdict.why if verdict is not None and verdict.state == "refused" else ""


@lru_cache(maxsize=64)
def _fitting(kind: str) -> tuple[Offer, ...]:
    """Every verb and action that takes a value of this type, whoever does it."""
    found = []
    known = Catalogue()
    for name in known.names:
        info, takes = known(name), _input_for(name, kind)
        if info is None or takes is None:
            continue
        if info.verb is not None and info.verb != name:
            continue  # its verb is offered, which a person or another product can do too
        found.append(Offer(name, info.title, info.effect, takes))
    return tuple(found)


def _input_for(name: str, kind: str) -> str | None:
    """The one input of an action or verb that takes a value of this type."""
    action = registry.actions().get(name)
    for one in behind(name):
        for item in one.inputs:
            fits = item.entity == kind or (item.entity == "ip" and kind in _ADDRESSES)
            if fits and (action is not None or name not in VERBS or item.name in VERBS[name].inputs):
                return item.name
    if name in VERBS:
        takes = next(iter(VERBS[name].inputs), "")
        kinds = _WHICH.get(name) or _HOLDS.get(takes, ())
        return takes if kind in kinds else None
    return None


def offers(session: Session, kinds: Iterable[str]) -> dict[str, list[Offer]]:
    """What can be done with values of these types: by products that are configured here first, then by people."""
    is_bound = instances.bound(session)
    found = {}
    for kind in set(kinds):
        fitting = [replace(one, bound=is_bound(one.name)) for one in _fitting(kind)]
        listed = [one for one in fitting if one.bound or _by_people(one)]
        found[kind] = sorted(listed, key=lambda one: one.order)
    return found


def offered(session: Session, name: str, kind: str) -> Offer:
    """The offer of this name for values of this type. Raises NotFound."""
    for one in offers(session, [kind])[kind]:
        if one.name == name:
            return one
    raise NotFound(f"Nothing called “{name[:80]}” can be done here with a value of the type {kind[:32]}.")


def behind(name: str) -> tuple[Action, ...]:
    """The actions of the catalogue that an action's or a verb's name may mean; none for what only people do."""
    action = registry.actions().get(name)
    return (action,) if action is not None else registry.verbs().get(name, ())


def _by_people(offer: Offer) -> bool:
    """Whether it makes sense as a task: it needs to be told nothing else, and does not only take something back."""
    verb = VERBS.get(offer.name)
    bare = offer.name.rpartition(".")[2]
    return verb is not None and sum(verb.needs.values()) == 1 and not bare.startswith(_TAKES_BACK)


def look(session: Session, actor: Actor, incident: Incident, wanted: Wanted) -> Look:
    """What would be done, what the guard rails say, and what the actor may see of what is in force; nothing is written.

    Raises NotFound, Invalid.
    """
    permissions.require(actor, RUN_ACTIONS.name)
    offer = offered(session, wanted.name, wanted.type)
    info = Catalogue()(offer.name)
    assert info is not None  # what is offered is known
    inputs = {**{name: value for name, value in wanted.more.items() if value not in (None, "")}, offer.input: wanted.value}
    foreseen = None
    if behind(offer.name):
        context = _context(session, actor, incident, wanted)
        foreseen = _foreseen(session, context, wanted, offer, inputs)
    if foreseen is not None:
        seen = visible_refs(session, actor, (row.subject for row in foreseen.standing))
        foreseen = replace(foreseen, standing=[row for row in foreseen.standing if row.subject in seen])
    told = "" if offer.bound else manual.words(offer.name, info.by_hand, inputs)
    return Look(info, offer, foreseen.inputs if foreseen and offer.bound else inputs, foreseen, told)


def _foreseen(
    session: Session, context: CallContext, wanted: Wanted, offer: Offer, inputs: Mapping[str, Any]
) -> Foreseen | None:
    try:
        return foreseeing.foresee(session, context, offer.name, inputs, instance=wanted.instance)
    except Invalid:
        if offer.bound:
            raise
        return None  # the catalogue's product asks for more than a person needs to be told


def ask(uow: UnitOfWork, actor: Actor, incident_id: UUID, wanted: Wanted) -> ActionCall | Task:
    """Do it through the door, or make it a task where no product can; the same asking with the same key is the same one.

    A call comes back as `calls.request` leaves it: on its way, held, or refused with the reason. Raises NotFound, Invalid,
    Conflict, Forbidden, and NeedsSecondFactor for what disrupts.
    """
    incident = queries.incident(uow, actor, incident_id)
    if incident.closed_at is not None:
        raise Conflict(f"{incident.key} is closed; reopen it before you do something for it.")
    if not _KEY.fullmatch(wanted.key):
        raise Invalid(
            "A key has 8 to 64 letters, digits, dots and hyphens.", [Problem("key", "not such a key")]
        )
    seen = look(uow, actor, incident, wanted)
    if wanted.bound is not None and wanted.bound != seen.offer.bound:
        now = "a product does it now, and at once" if seen.offer.bound else "no product here can do it any more"
        raise Conflict(f"What would be done has changed since it was shown: {now}. Look again, then decide.")
    if not seen.offer.bound:
        return _task(uow, actor, incident, wanted, seen)
    reason = wanted.reason.strip()[:1000] or f"{seen.offer.title}, by hand"
    row = calls.request(
        uow,
        replace(_context(uow, actor, incident, wanted), reason=reason),
        wanted.name,
        seen.inputs,
        instance=wanted.instance,
        key=f"hand:{incident.id}:{wanted.key}",
        undo_after=wanted.lasts,
        review_after=wanted.review,
    )
    if (row.asked, row.chosen, _told(row.inputs)) != (wanted.name, wanted.instance, _told(seen.inputs)):
        raise Conflict(_USED)
    return row


def _task(uow: UnitOfWork, actor: Actor, incident: Incident, wanted: Wanted, seen: Look) -> Task:
    if seen.refused:
        raise Forbidden(f"A guard rail refuses it: {seen.refused}")
    told = f"{seen.told}\n\n{wanted.reason.strip()[:1000]}" if wanted.reason.strip() else seen.told
    form = seen.info.form
    given = manual.task(
        f"{seen.offer.title}: {wanted.value}"[:500], told, seen.inputs, effect=seen.offer.effect, form=form, wakes=True
    )
    origin = Ref("by_hand", hashlib.sha256(f"{incident.id}:{wanted.key}".encode()).hexdigest())
    task = tasks.create(uow, actor, incident.id, wiring.task_draft(uow, given, origin))
    if task.title != str(given["title"]).strip() or not task.instructions.startswith(seen.told):
        raise Conflict(_USED)
    return task


def _told(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs that say something: one that is left out is as good as one that is empty."""
    return {name: value for name, value in inputs.items() if value is not None}


def _context(session: Session, actor: Actor, incident: Incident, wanted: Wanted) -> CallContext:
    context = wiring.context_of(actor, incident.ref, queries.facts(session, incident.id))
    return replace(context, reason=wanted.reason)
