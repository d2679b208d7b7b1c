"""Whether an urgent page finds somebody when the first person, or the first way of reaching them, fails."""

from uuid import UUID

from sqlalchemy import select

from core.auth.models import User
from notify import policies, queries, reaching
from notify.escalation import Target
from notify.models import ContactMethod, Policy, Urgency
from notify.reaching import Wanted
from reports.doctor import Finding, Light, Look, State


def look(at: Look) -> Finding:
    """Who stands behind the default escalation, now and in the rotations, and by which ways they are reached."""
    if at.settings.muzzled:
        return Finding(
            State.yellow, "This is a rehearsal: nothing leaves this machine, so nobody is woken.",
            "For the real thing, start without TOCSIN_MUZZLED.",
        )  # fmt: skip
    policy = at.session.scalar(select(Policy).where(Policy.is_default).order_by(Policy.name).limit(1))
    if policy is None:
        return Finding(
            State.red, "There is no default escalation policy: no page is sent.", "Make one.",
            href="/oncall/policies", word="Escalation",
        )  # fmt: skip
    ways = {who: way for who in _behind(at, policy) if (way := _ways(at, who))}
    people = {who.user_id for who in ways if who.user_id is not None}
    channels = {channel for way in ways.values() for channel in way}
    if not ways:
        return Finding(
            State.red, "Nobody on the default escalation can be reached outside these pages.",
            "Say how you are reached: mail, ntfy, Slack.", href="/profile", word="My contact methods",
        )  # fmt: skip
    if len(people) < 2:
        return Finding(
            State.yellow, "One person alone is behind the default escalation.",
            "Add a second person, and put them on call.", href="/settings/users", word="Users",
        )  # fmt: skip
    if len(channels) < 2:
        return Finding(
            State.yellow, f"{len(people)} people are reached in one way only: {next(iter(channels))}.",
            "Add a second way of reaching somebody, and test it, for when that one is down.", href="/profile", word="My contact methods",
        )  # fmt: skip
    return Finding(State.green, f"{len(people)} people are reached in {len(channels)} ways.")


def _behind(at: Look, policy: Policy) -> list[Wanted]:
    """Everybody whom some page by this policy would reach: those named, and all of a schedule's rotations."""
    plan = policies.as_plan(at.session, policy)
    targets = [
        Target(t["kind"], t["id"]) for step in [*plan["steps"], plan["catch_all"]] for t in step["targets"]
    ]
    named, _missing = reaching.behind(at.session, targets, at.now)
    rotas = [UUID(target.id) for target in targets if target.kind == "schedule"]
    in_turn = {
        UUID(person)
        for rota in rotas
        for rotation in queries.rotations(at.session, rota)
        for person in rotation.people
    }
    here = at.session.scalars(select(User.id).where(User.id.in_(in_turn), User.disabled_at.is_(None)))
    known = {who.user_id for who in named}
    return [*named, *(Wanted(person, None, "in a rotation") for person in here if person not in known)]


def _ways(at: Look, who: Wanted) -> set[str]:
    """The ways that count: those that have been seen to work; where none has, the first, which is a guess."""
    out = [way for way in reaching.methods(at.session, who, Urgency.high) if way.reaches_out]
    asked = [way.contact_id for way in out if way.contact_id is not None]
    seen = select(ContactMethod.id).where(ContactMethod.id.in_(asked), ContactMethod.verified_at.is_not(None))
    works = {None, *at.session.scalars(seen)}  # without any way of their own: the account's address
    return {way.channel for way in out if way.contact_id in works} or {way.channel for way in out[:1]}


light = Light("responders", "Second responder", 30, look)
