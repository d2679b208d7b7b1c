"""On-call over the browser: schedules, take-overs, policies, channels, and one's own ways of being reached."""

import re
from collections.abc import Callable
from uuid import UUID

import pytest
from at_the_pages import Reader
from people_here import People
from sqlalchemy import select

from cli import assemble, first_steps
from core.auth import users
from core.clock import now
from core.db import reading, unit_of_work
from notify import queries
from notify.models import ContactMethod, Message, ScheduleRow

Drain = Callable[..., int]
pytestmark = pytest.mark.usefixtures("sqlite_database")

assemble.load()


def schedules() -> list[ScheduleRow]:
    with reading() as session:
        return queries.all_schedules(session)


def ways(person: UUID | None) -> list[ContactMethod]:
    with reading() as session:
        return queries.contact_methods(session, person)


def on_call() -> None:
    """Rita and Raul take weekly turns."""
    with unit_of_work() as uow:
        first_steps.on_call(uow, [user for user in users.everyone(uow) if user.name in ("Rita", "Raul")])


ROTATION = {
    "r0__name": "Weekly",
    "r0__kind": "weekly",
    "r0__every": "1",
    "r0__day": "2026-01-05",
    "r0__time": "09:00",
}


def test_the_first_schedule_is_asked_for_made_and_answers_who(people: People) -> None:
    mara = Reader(people.mara)
    shown = mara.get("/oncall")
    assert "Nobody can be on call yet" in shown
    assert 'href="/oncall/schedules/new"' in shown
    assert "Nobody is on call" in mara.get("/inbox")
    mara.get("/oncall/schedules/new")
    mara.post(
        "/oncall/schedules/new", name="Primary", zone="Europe/Madrid", **ROTATION,
        r0__person=[people.rita.id, "", people.raul.id],
    )  # fmt: skip
    shown = mara.get("/oncall")
    assert re.search(r"<h1>\s*(Rita|Raul) is on call", shown)
    assert "There is no escalation policy" in shown
    assert shown.count('class="rota-turn"') >= 2


def test_a_form_that_cannot_be_saved_keeps_what_was_typed(people: People) -> None:
    answer = Reader(people.mara).post(
        "/oncall/schedules/new", status=422, name="Nights", zone="Europe/Nowhere", **ROTATION, r0__person=people.rita.id,
        r0__w0__day=["0", "4"], r0__w0__start="22:00", r0__w0__end="06:00",
    )  # fmt: skip
    assert 'value="Nights"' in answer.text
    assert 'value="22:00"' in answer.text
    assert schedules() == []


def test_another_rotation_is_added_without_saving(people: People) -> None:
    answer = Reader(people.mara).post(
        "/oncall/schedules/new",
        status=200,
        name="Primary",
        zone="UTC",
        **ROTATION,
        r0__person=people.rita.id,
        more="1",
    )
    assert "Rotation 2" in answer.text
    assert schedules() == []


def test_gaps_are_told_in_words(people: People) -> None:
    mara = Reader(people.mara)
    mara.post(
        "/oncall/schedules/new", name="Office", zone="UTC", **ROTATION, r0__person=people.rita.id,
        r0__w0__day=["0", "1", "2", "3", "4"], r0__w0__start="09:00", r0__w0__end="17:00",
    )  # fmt: skip
    shown = mara.get(f"/oncall/schedules/{schedules()[0].id}")
    assert "times in these two weeks nobody is on call" in shown
    assert "rota-hole" in shown
    assert "Mon Tue Wed Thu Fri 09:00–17:00" in " ".join(re.sub("<[^>]*>", " ", shown).split())


def test_a_responder_takes_over_and_takes_it_back(people: People) -> None:
    on_call()
    number = schedules()[0].id
    path = f"/oncall/schedules/{number}"
    with reading() as session:
        there = queries.on_call_now(session, now())[0]
    other = people.raul if there.user_name == "Rita" else people.rita
    reader = Reader(other)
    form = reader.get(f"{path}/override")
    assert f'value="{other.id}" selected' in form
    day = now().strftime("%Y-%m-%d")
    reader.post(
        f"{path}/override", who=other.id, instead_of="", reason="swap", start_day=day, start_time="00:00",
        end_day="2099-01-01", end_time="00:00",
    )  # fmt: skip
    with reading() as session:
        assert queries.on_call_now(session, now())[0].user_name == other.name
        row = queries.overrides(session, number, now())[0]
    assert "override: swap" in reader.get(path)
    reader.post(f"/oncall/overrides/{row.id}/remove")
    with reading() as session:
        assert queries.on_call_now(session, now())[0].user_name == there.user_name


def test_an_override_that_ends_before_it_begins_is_explained(people: People) -> None:
    on_call()
    answer = Reader(people.rita).post(
        f"/oncall/schedules/{schedules()[0].id}/override", status=422, who=people.rita.id, start_day="2026-05-02",
        start_time="10:00", end_day="2026-05-01", end_time="10:00",
    )  # fmt: skip
    assert "must be after the start" in answer.text


def test_only_who_manages_changes_schedules_and_policies(people: People) -> None:
    on_call()
    rita, number = Reader(people.rita), schedules()[0].id
    for path in (f"/oncall/schedules/{number}/edit", "/oncall/schedules/new", "/oncall/policies/new"):
        rita.get(path, status=403)
    rita.post(f"/oncall/schedules/{number}/delete", status=403)
    Reader(people.aldo).get(f"/oncall/schedules/{number}/override", status=403)
    Reader(people.aldo).get("/oncall")


def test_a_policy_needs_a_catch_all_and_says_whom_it_would_not_reach(people: People) -> None:
    on_call()
    mara = Reader(people.mara)
    target = f"schedule:{schedules()[0].id}"
    fields = {
        "name": "critical",
        "repeat": "1",
        "ack": "45",
        "s0__target": target,
        "s0__minutes": "5",
        "last__minutes": "5",
    }
    answer = mara.post("/oncall/policies/new", status=422, **fields)
    assert "catch_all" in answer.text
    mara.post("/oncall/policies/new", **fields, last__target=f"user:{people.mara.id}")
    shown = mara.get("/oncall/policies")
    assert "need mending" in shown
    assert "Mara has no contact method" in shown
    with reading() as session:
        policy = next(policy for policy, _steps in queries.all_policies(session) if policy.name == "critical")
    assert "nobody does anything for 45 min: it pages again" in shown
    mara.post("/oncall/policies/new", status=422, **{**fields, "ack": "2"}, last__target=f"user:{people.mara.id}")
    assert f'value="{target}" selected' in mara.get(f"/oncall/policies/{policy.id}")
    mara.post(
        f"/oncall/policies/{policy.id}",
        **{**fields, "name": "urgent"},
        last__target=f"user:{people.mara.id}",
        version=str(policy.version),
    )
    stale = mara.post(
        f"/oncall/policies/{policy.id}",
        status=422,
        **fields,
        last__target=f"user:{people.mara.id}",
        version=str(policy.version),
    )
    assert "Somebody changed this policy" in stale.text


def test_a_secret_of_a_channel_is_stored_and_never_shown(people: People) -> None:
    mara = Reader(people.mara)
    mara.post("/oncall/channels/slack", value__bot_token="xoxb-1-secret")
    shown = mara.get("/oncall/channels")
    assert "xoxb-1-secret" not in shown
    assert "stored; leave empty to keep it" in shown
    mara.post("/oncall/places", channel="slack", name="#soc", address__to="#soc")
    assert "#soc" in mara.get("/oncall/channels")
    assert "Uses the account that is set up for SMS by Twilio" in shown
    assert "/callbacks/twilio_sms" in shown
    place = ways(None)[0]
    Reader(people.rita).post(f"/oncall/places/{place.id}/remove", status=403)
    mara.post(f"/oncall/places/{place.id}/remove")
    assert ways(None) == []


def test_a_way_is_added_ordered_tested_and_removed(people: People, drain: Drain) -> None:
    rita = Reader(people.rita)
    assert "Tocsin cannot reach you yet" in rita.get("/profile")
    refused = rita.post("/profile/contacts", status=422, channel="email", address__to="not an address")
    assert "is not one mail address" in refused.text
    rita.post("/profile/contacts", channel="ntfy", address__topic="tocsin-rita-83k", delay="60")
    rita.post("/profile/contacts", channel="email", address__to="rita@home.example")
    first, second = ways(people.rita.user_id)
    assert (first.channel, second.channel) == ("ntfy", "email")
    rita.post(f"/profile/contacts/{second.id}/up")
    assert [way.channel for way in ways(people.rita.user_id)] == ["email", "ntfy"]
    rita.post(f"/profile/contacts/{second.id}/arrived", status=409, code="1")
    assert "Confirm 2 ways you are reached" in rita.get("/profile")
    rita.post(f"/profile/contacts/{second.id}/test")
    drain("notify.messages")
    assert "No mail server is set up" in rita.get("/profile")
    with reading() as session:
        sent = session.scalars(select(Message)).one()
        code = re.search(r"Your code is ((?:[0-9] ){5}[0-9])\.", sent.text)
    assert code
    wrong = rita.post(f"/profile/contacts/{second.id}/arrived", status=422, code="12 34")
    assert "This is not the code of the last test" in wrong.text
    assert ways(people.rita.user_id)[0].verified_at is None
    rita.post(f"/profile/contacts/{second.id}/arrived", code=code[1])
    assert [rita.post(f"/profile/contacts/{first.id}/arrived", status, code="1").status_code for status in (409,) * 5]
    rita.post(f"/profile/contacts/{first.id}/arrived", status=429, code="1")
    assert ways(people.rita.user_id)[0].verified_at is not None
    Reader(people.raul).post(f"/profile/contacts/{second.id}/remove", status=404)
    rita.post(f"/profile/contacts/{second.id}/remove")
    assert [way.channel for way in ways(people.rita.user_id)] == ["ntfy"]


def test_my_name_zone_and_password_are_mine_to_change(people: People) -> None:
    rita, elsewhere = Reader(people.rita), Reader(people.rita)
    rita.post("/profile", name="Rita Levi", zone="Europe/Rome", locale="en")
    assert "Rita Levi" in rita.get("/profile")
    assert "Europe/Rome" in rita.get("/profile")
    with unit_of_work() as uow:
        user = users.get(uow, UUID(people.rita.id))
        user.password = users.hash_password("the present one, long")
    new = "a new one, long enough"
    wrong = rita.post("/profile/password", status=422, present="not it", password=new, again=new)
    assert "present password is not right" in wrong.text
    rita.post("/profile/password", present="the present one, long", password=new, again=new)
    elsewhere.get("/profile", status=303)
    with reading() as session:
        assert users.password_fits(users.get(session, UUID(people.rita.id)).password, new)


def test_other_sessions_end_on_demand(people: People) -> None:
    here, elsewhere = Reader(people.rita), Reader(people.rita)
    here.post("/profile/sessions/end")
    elsewhere.get("/profile", status=303)
    here.get("/profile")
