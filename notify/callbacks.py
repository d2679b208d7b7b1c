"""The door for far ends that call back: proves them, notes receipts, and lets people answer by message or by key."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select

from core import limits, logs
from core.actors import Actor
from core.auth import users
from core.auth.models import User
from core.db import UnitOfWork, reading, unit_of_work
from core.errors import Forbidden, NotFound, TocsinError, TooMany
from notify import codes, delivery, links, reaching, receipts, registry
from notify.contract import Callback, Pressed, Receipt, Reply, Unproven
from notify.models import ContactMethod, Message, Page, PageAttempt, PageState, PageTarget

log = logs.get(__name__)

WITHIN = timedelta(minutes=10)
WRONG = 5
"""Replies with a wrong code from one number in that time: more would be guessing."""
UNPROVEN = 30
"""Callbacks without a proof from one address in that time."""
OVERALL = 600

HAVE = "You have it. Nobody else is paged. Open Tocsin for what to do."
TAKEN = "{name} has it already. You need do nothing."
OVER = "This is over. You need do nothing."
PASSED = "The next person is being paged."
NOT_KNOWN = "That is not the code of a page of yours. Open Tocsin to see what waits."
_PASS = ("pass", "next")


@dataclass(frozen=True)
class Answer:
    """What the far end is answered, in its own language; empty where it expects nothing."""

    body: bytes = b""
    media: str = "application/xml"


def heard(name: str, token: str | None, callback: Callback, peer: str) -> Answer:
    """Take one callback to the channel `name`; `token` names the sending it is about.

    Raises NotFound for a channel that hears nothing, Forbidden for a callback that proves nothing, Invalid for a token of
    another installation, TooMany. Hearing the same one again changes nothing and gives the same answer.
    """
    channel = registry.all_channels().get(name)
    if channel is None or channel.hears is None:
        raise NotFound("Nobody listens here.")
    with reading() as session:
        config = reaching.config_of(session, name)
    try:
        said = channel.hears(callback, config)
    except Unproven:
        limits.take("callback", peer, most=UNPROVEN, overall=OVERALL, within=WITHIN)
        log.warning("a callback was refused: its proof is wrong", extra={"channel": name, "peer": peer})
        raise Forbidden(
            "This call does not prove that it is the provider's. Compare the account, its token and TOCSIN_BASE_URL."
        ) from None
    send_id = links.from_callback(token) if token else None
    if isinstance(said, Reply):
        return Answer(channel.answers(_replied(name, said)))
    if isinstance(said, Pressed) and send_id:
        return Answer(channel.answers(_pressed(name, send_id, said)))
    if isinstance(said, Receipt) and send_id:
        with unit_of_work() as uow:
            receipts.note(uow, name, send_id, said)
    return Answer()


def _replied(channel: str, said: Reply) -> str:
    """Somebody answered a message: the code says which page, the number says who."""
    key = f"{channel}:{said.key}"
    code = codes.read(said.text)
    with unit_of_work() as uow:
        if (before := receipts.known(uow, key)) is not None:
            return before.answer
        people = _people_at(uow, channel, said.sender)
        page = _page_of(uow, code, people) if code else None
        if page is not None:
            person = next(one for one in people if _was_paged(uow, page, one.id))
            attempt = _last_attempt(uow, channel, page, person)
            wish = "pass" if set(said.text.lower().split()) & set(_PASS) else "acknowledge"
            return _act(uow, key, attempt, users.actor_of(person), page, wish, "sms")
    if not people:
        return ""  # not a number of ours: nobody is told that there is something here
    try:
        limits.take("page reply", said.sender, most=WRONG, overall=OVERALL, within=WITHIN)
    except TooMany:
        return ""
    return NOT_KNOWN


def _pressed(channel: str, send_id: UUID, said: Pressed) -> str:
    """Whoever took the call pressed a key."""
    key = f"{channel}:{said.key}"
    with unit_of_work() as uow:
        if (before := receipts.known(uow, key)) is not None:
            return before.answer
        attempt = receipts.attempt_of(uow, send_id)
        if attempt is None:
            message = uow.get(Message, send_id)
            if message is None:
                return OVER
            message.answer = "a key was pressed"
            return "Thank you."
        page = uow.get(Page, attempt.page_id) if attempt.page_id else None
        user = uow.get(User, attempt.user_id) if attempt.user_id else None
        if page is None or user is None or user.disabled_at is not None:
            receipts.keep(uow, key, attempt, receipts.ANSWERED, "a key was pressed")
            return "Thank you. Open Tocsin to see what waits."
        if said.digit not in ("1", "2"):
            return f"{said.digit} means nothing here. Open Tocsin, or wait for the next call."
        wish = "acknowledge" if said.digit == "1" else "pass"
        return _act(uow, key, attempt, users.actor_of(user), page, wish, "call")


def _act(
    uow: UnitOfWork, key: str, attempt: PageAttempt | None, actor: Actor, page: Page, wish: str, via: str
) -> str:
    """Do what the person wants, once; returns the sentence they are answered."""
    note = receipts.keep(uow, key, attempt, receipts.ANSWERED, f"{wish} by {via}")
    if note is None:  # the same call is being heard by another process
        before = receipts.known(uow, key)
        return before.answer if before else ""
    if page.state == PageState.closed:
        told = OVER
    elif wish == "pass":
        try:
            delivery.escalate(uow, actor, page.id, f"{actor.name} cannot take it")
            told = PASSED
        except TocsinError as error:
            told = error.message
    else:
        found = delivery.acknowledge(uow, actor, page.id, via)
        mine = found.acknowledged_by == actor.id
        told = HAVE if mine else TAKEN.format(name=found.acknowledged_name or "Somebody")
    note.answer = told
    return told


def _people_at(uow: UnitOfWork, channel: str, sender: str) -> list[User]:
    """Who has this number as a way of theirs."""
    query = (
        select(ContactMethod, User)
        .join(User, User.id == ContactMethod.user_id)
        .where(
            ContactMethod.channel == channel, ContactMethod.disabled_at.is_(None), User.disabled_at.is_(None)
        )
    )
    found = {user.id: user for method, user in uow.execute(query) if method.address.get("to") == sender}
    return list(found.values())


def _page_of(uow: UnitOfWork, code: str, people: list[User]) -> Page | None:
    """The open page of this code that went to one of these people; none when several are meant."""
    found = [
        page for page in codes.open_with(uow, code) if any(_was_paged(uow, page, one.id) for one in people)
    ]
    return found[0] if len(found) == 1 else None


def _was_paged(uow: UnitOfWork, page: Page, user_id: UUID) -> bool:
    query = select(PageTarget.id).where(PageTarget.page_id == page.id, PageTarget.user_id == user_id)
    return uow.scalar(query.limit(1)) is not None


def _last_attempt(uow: UnitOfWork, channel: str, page: Page, user: User) -> PageAttempt | None:
    query = select(PageAttempt).where(
        PageAttempt.page_id == page.id, PageAttempt.user_id == user.id, PageAttempt.channel == channel
    )
    return uow.scalar(query.order_by(PageAttempt.id.desc()).limit(1))
