"""Second factors at the pages: set up, asked for at sign-in, and asked for again in the middle of something."""

import re
from datetime import timedelta

import pyotp
import pytest
from at_the_pages import Reader
from held_time import HeldClock
from people_here import People, unproved

from connectors import rails
from core.actors import SYSTEM
from core.auth import factors, sessions, users
from core.db import database_now, reading, unit_of_work
from core.journal import entries
from core.settings import configure, settings
from notify import messages
from notify.models import InboxItem, Message
from web import security

pytestmark = pytest.mark.usefixtures("sqlite_database")
PASSWORD = "a long first sentence"
RELEASE = "/settings/guardrails/release"


def signed_up(people: People, name: str = "mara") -> Reader:
    """Somebody who has a password and has just come in with it."""
    actor = getattr(people, name)
    with unit_of_work() as uow:
        users.set_password(uow, SYSTEM, actor.user_id, users.hash_password(PASSWORD))
    return Reader(unproved(actor))


def set_up(reader: Reader) -> tuple[pyotp.TOTP, list[str]]:
    begun = reader.post("/profile/factor/app").headers["Location"]
    page = reader.get(begun)
    secret = re.search(r"<code>([A-Z2-7]{32})</code>", page)
    assert secret
    assert 'src="data:image/svg+xml' in page
    app = pyotp.TOTP(secret[1])
    assert "not the code" in reader.post(begun, status=422, code="123").text
    kept = reader.post(begun, status=200, code=now(app)).text
    reader.get(begun, status=404)  # the secret is not shown again
    return app, re.findall(r"<li><code>([a-z0-9-]{11})</code>", kept)


def now(app: pyotp.TOTP) -> str:
    with reading() as session:
        return app.at(database_now(session))


def test_setting_up_signing_in_and_a_recovery_code(people: People, clock: HeldClock) -> None:
    mara = signed_up(people)
    assert "Add a second factor" in mara.get("/profile")
    app, codes = set_up(mara)
    assert len(codes) == 10
    assert "Authenticator app" in mara.get("/profile")
    clock.advance(timedelta(minutes=1))
    stranger = Reader()
    asked = stranger.post("/login", status=200, email="mara@example.org", password=PASSWORD, next="/journal")
    step = re.search(r'name="step" value="([^"]+)"', asked.text)
    assert step
    assert security.COOKIE not in asked.cookies
    wrong = stranger.post("/login/second", status=422, step=step[1], next="/journal", code="111111")
    assert "This is not right" in wrong.text
    assert security.COOKIE not in wrong.cookies
    came = stranger.post("/login/second", step=step[1], next="/journal", code=now(app))
    assert came.headers["Location"] == "/journal"
    assert sessions.actor_for(came.cookies[security.COOKIE]) is not None
    by_code = stranger.post("/login/second", step=step[1], next="//evil.example", code=codes[3])
    assert by_code.headers["Location"] == "/"
    stranger.post("/login/second", status=422, step="nonsense", code=codes[4])


def test_what_was_being_done_goes_on_after_the_second_factor(people: People, clock: HeldClock) -> None:
    mara = signed_up(people)
    app, _codes = set_up(mara)
    with unit_of_work() as uow:
        rails.hold_all(uow, people.rita, "something odd")
    clock.advance(timedelta(hours=1))
    asked = mara.post(RELEASE, status=403, reason="it was <a> drill").text
    assert "Show your second factor" in asked
    assert 'action="/settings/guardrails/release"' in asked
    assert 'name="reason" value="it was &lt;a&gt; drill"' in asked
    refused = mara.post(RELEASE, status=403, reason="it was a drill", factor__code="314159").text
    assert "This is not right" in refused
    assert 'name="reason" value="it was a drill"' in refused
    assert "314159" not in refused
    mara.post(RELEASE, reason="it was a drill", factor__code=now(app))
    with reading() as session:
        assert rails.held(session) is None
        (told,) = entries(session, verbs=["automation.released"], limit=1)
        assert told.data == {"reason": "it was a drill"}
    mara.post("/settings/guardrails/hold", reason="holding never asks")


def test_who_has_none_reads_how_to_get_one(people: People) -> None:
    with unit_of_work() as uow:
        rails.hold_all(uow, people.rita, "something odd")
    mara = Reader(unproved(people.mara))
    asked = mara.post(RELEASE, status=403, reason="over").text
    assert "you have none yet" in asked
    assert 'href="/profile/factor"' in asked
    assert 'name="reason" value="over"' in asked
    configure(settings().with_(second_factor_required=False))
    mara.post(RELEASE, reason="over")


def test_a_browser_left_open_does_not_set_one_up(people: People, clock: HeldClock) -> None:
    mara = signed_up(people)
    clock.advance(timedelta(minutes=30))
    assert "Present password" in mara.get("/profile/factor")
    assert "Enter your password" in mara.post("/profile/factor/app", status=409, present="a guess").text
    mara.post("/profile/factor/app", present=PASSWORD)


def test_a_passkey_needs_a_name_and_https(people: People) -> None:
    mara = signed_up(people)
    assert "Browsers do passkeys only at an https address" in mara.get("/profile/factor")
    assert "Passkeys need https" in mara.post("/profile/factor/passkey", status=409).text
    configure(settings().with_(base_url="https://tocsin.example.org"))
    offered = mara.post("/profile/factor/passkey", status=200).text
    assert "tocsin.example.org" in offered
    ticket = re.search(r'name="ticket" value="([^"]+)"', offered)
    assert ticket
    refused = mara.post("/profile/factor/passkey/made", status=422, ticket=ticket[1], answer='{"id": 1}').text
    assert "could not be read" in refused


def test_an_administrator_resets_and_the_person_is_told(people: People, clock: HeldClock, drain: object) -> None:
    mara, ana = signed_up(people), Reader(people.ana)
    set_up(mara)
    assert people.mara.user_id is not None
    assert f"/settings/users/{people.mara.id}/factor" in ana.get("/settings/users")
    ana.post(f"/settings/users/{people.mara.id}/factor")
    with reading() as session:
        assert not factors.enrolled(session, people.mara.user_id)
    mara.get("/profile", status=303)
    drain()  # type: ignore[operator]  # the fixture is a function
    with reading() as session:
        titles = [item.title for item in session.query(InboxItem).filter_by(user_id=people.mara.user_id)]
        assert session.query(Message).count()
    assert "Your second factor was taken away by Ana" in titles
    assert messages.MESSAGES.name


def test_a_new_password_link_does_not_stand_for_the_second_factor(people: People) -> None:
    mara = signed_up(people)
    set_up(mara)
    with reading() as session:
        link = users.start_path(users.get(session, people.mara.user_id))  # type: ignore[arg-type]  # a person
    answer = Reader().post(link, email="mara@example.org", password=PASSWORD, again=PASSWORD)
    assert answer.headers["Location"] == "/login"
    assert security.COOKIE not in answer.cookies


def test_removing_asks_for_it_once_more(people: People, clock: HeldClock) -> None:
    mara = signed_up(people)
    app, _codes = set_up(mara)
    with reading() as session:
        (factor,) = factors.of_user(session, people.mara.user_id)  # type: ignore[arg-type]  # a person
    clock.advance(timedelta(hours=1))
    gone = f"/profile/factor/{factor.id}/remove"
    assert "Show your second factor" in mara.post(gone, status=403).text
    mara.post(gone, factor__code=now(app))
    assert "Add a second factor" in mara.get("/profile/factor")
