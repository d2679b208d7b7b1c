"""Pages over the browser: the list, the ledger, the signed link of 03:12, the inbox."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from at_the_pages import Reader
from people_here import People

from cli import assemble, first_steps
from core.actors import SYSTEM
from core.auth import users
from core.db import reading, unit_of_work
from core.types import Ref, Severity
from held_time import HeldClock
from incidents import comments, lifecycle, observables, tasks
from incidents.models import Incident
from incidents.outside import HIDDEN, veil
from notify import delivery, queries
from notify.models import Page, PageTarget

Drain = Callable[..., int]
pytestmark = pytest.mark.usefixtures("sqlite_database")

assemble.load()


def call(title: str = "Ransomware on a laptop", message: str = "two lines\nof words", **about: str) -> UUID:
    """A page that waits, for Rita and then Raul."""
    with unit_of_work() as uow:
        team = [user for user in users.everyone(uow) if user.name in ("Rita", "Raul")]
        first_steps.on_call(uow, sorted(team, key=lambda user: user.name, reverse=True))
        return delivery.page(
            uow, SYSTEM, policy="default", subject=Ref(about.get("kind", "source"), about.get("id", "x")), title=title,
            message=message, severity=Severity.critical, path="/incidents", received_at=uow.now - timedelta(seconds=1),
        ).id  # fmt: skip


def page_of(number: UUID) -> Page:
    with reading() as session:
        return queries.page_by_id(session, number)


def link_for(number: UUID, name: str) -> str:
    with reading() as session:
        user = next(user for user in users.everyone(session) if user.name == name)
    return delivery.ack_link(number, user.id)


def paged(number: UUID) -> str:
    """The name of who was paged first."""
    with reading() as session:
        target = queries.targets(session, number)[0]
        return users.names(session)[target.user_id] if target.user_id else ""


def test_waiting_pages_come_first_and_one_is_acknowledged(people: People) -> None:
    number = call()
    rita = Reader(people.rita)
    assert "1 page waits for an answer" in rita.get("/pages")
    assert "btn-ack" in rita.get(f"/pages/{number}")
    rita.post(f"/pages/{number}/acknowledge")
    assert page_of(number).acknowledged_name == "Rita"
    shown = rita.get(f"/pages/{number}")
    assert "Rita has it" in shown
    assert "1.0 s" in shown, "the ledger counts from the first word"
    assert "btn-ack" not in shown
    assert "No page waits for an answer" in rita.get("/pages")


def test_escalating_goes_to_the_next_step_with_the_reason(people: People) -> None:
    number = call()
    before = page_of(number).step, page_of(number).round
    Reader(people.rita).post(f"/pages/{number}/escalate", reason="I am on a plane")
    assert (page_of(number).step, page_of(number).round) != before


def test_an_auditor_reads_but_does_not_answer(people: People) -> None:
    number = call()
    aldo = Reader(people.aldo)
    assert "btn-ack" not in aldo.get(f"/pages/{number}")
    aldo.post(f"/pages/{number}/acknowledge", status=403)
    assert page_of(number).state == "waiting"


def test_looking_at_the_link_changes_nothing_and_its_button_acknowledges(people: People) -> None:
    number = call()
    who = paged(number)
    link, stranger = link_for(number, who), Reader()
    assert "Acknowledge" in stranger.get(link)
    assert page_of(number).state == "waiting"
    stranger.post(link)
    found = page_of(number)
    assert (found.state, found.acknowledged_name, found.acknowledged_via) == ("acknowledged", who, "link")
    after = stranger.get(link)
    assert "You have it" in after
    assert "Received" in after
    assert "+1.0 s" in after, "how it reached you, counted from the first word"


def test_the_link_says_when_somebody_else_has_it_and_can_pass_it_on(people: People) -> None:
    number = call()
    link = link_for(number, paged(number))
    with unit_of_work() as uow:
        delivery.acknowledge(uow, people.mara, number, "web")
    assert "Mara has it already" in Reader().get(link)
    second = call("Another one")
    Reader().post(link_for(second, paged(second)) + "/pass")
    assert page_of(second).round + page_of(second).step > 0


@pytest.mark.parametrize("token", ["nonsense", "A" * 200])
def test_a_link_that_does_not_work_says_what_to_do(people: People, token: str) -> None:
    shown = Reader().get(f"/a/{token}", status=410)
    assert "This link does not work" in shown
    assert 'href="/pages"' in shown
    Reader().post(f"/a/{token}", status=410)


def test_an_expired_link_does_nothing(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    number = call()
    monkeypatch.setattr("notify.links.GOOD_FOR", -1)
    link = link_for(number, paged(number))
    Reader().post(link, status=410)
    assert page_of(number).state == "waiting"


def opened(title: str, **more: object) -> Incident:
    with unit_of_work() as uow:
        incident = lifecycle.open_by_hand(
            uow, SYSTEM, lifecycle.IncidentDraft(title=title, severity=Severity.high)
        )
        for name, value in more.items():
            setattr(incident, name, value)
        uow.flush()
        uow.expunge(incident)
        return incident


def test_no_address_and_nothing_red_is_told_before_sign_in(people: People) -> None:
    number = call("Beacon to 203.0.113.9", "see https://evil.example/a\nfrom evil.example, hash " + "a" * 64)
    shown = Reader().get(link_for(number, paged(number)))
    assert HIDDEN in shown
    for secret in ("203.0.113.9", "evil.example", "a" * 64):
        assert secret not in shown
    incident = opened("The director's laptop", tlp="red")
    red = call("The director's laptop", "her mailbox", kind="incident", id=str(incident.id))
    shown = Reader().get(link_for(red, paged(red)))
    assert "director" not in shown
    assert "mailbox" not in shown
    assert incident.key in shown


STEPS = ("Phone m.ortiz", "Pull the cable of FIN-LT-07", "Read https://evil.example/a", "A fourth one")


def with_steps(**more: object) -> tuple[Incident, UUID]:
    incident = opened("Ransomware", **more)
    with unit_of_work() as uow:
        observables.attach(uow, SYSTEM, incident.id, "host", "FIN-LT-07", "target")
        for step in STEPS:
            tasks.create(uow, SYSTEM, incident.id, tasks.TaskDraft(step))
    return incident, call("Ransomware", "two lines", kind="incident", id=str(incident.id))


def test_the_first_three_steps_are_told_without_names_before_sign_in(people: People) -> None:
    incident, number = with_steps()
    who = paged(number)
    link = link_for(number, who)
    before = Reader().get(link)
    assert "Pull the cable of" in before
    for secret in ("FIN-LT-07", "m.ortiz", "evil.example", "A fourth one", f"/incidents/{incident.key}#task"):
        assert secret not in before
    mine = Reader(people.rita if who == "Rita" else people.raul).get(link)
    assert "Phone m.ortiz" in mine
    assert "A fourth one" not in mine
    assert f'href="/incidents/{incident.key}#task-' in mine
    assert "Approve" not in mine


@pytest.mark.parametrize("more", [{"tlp": "amber+strict"}, {"tlp": "red"}, {"restricted_to": ["nobody"]}])
def test_above_amber_no_step_is_told_before_sign_in(people: People, more: dict[str, object]) -> None:
    incident, number = with_steps(**more)
    shown = Reader().get(link_for(number, paged(number)))
    assert f"You are needed for {incident.key}" in shown
    assert "First things to do" not in shown


def test_who_else_was_paged_is_named_to_those_who_signed_in(people: People) -> None:
    number = call()
    first, second = ("Rita", "Raul") if paged(number) == "Rita" else ("Raul", "Rita")
    with unit_of_work() as uow:
        uow.add(PageTarget(page_id=number, created_at=uow.now, user_id=getattr(people, second.lower()).user_id, why="", urgency="high"))
    shown = Reader().get(link_for(number, first))
    assert "Also paged" in shown
    assert "Somebody else" in shown
    assert second not in shown


def test_a_page_that_rings_again_says_so(people: People, clock: HeldClock, drain: Drain) -> None:
    incident, number = with_steps()
    who = paged(number)
    link = link_for(number, who)
    Reader().post(link)
    assert "It rings again at" in Reader().get(link)
    warning = "It rings again: you acknowledged it, and nobody has done anything since"
    holder = Reader(getattr(people, who.lower()))
    assert warning in holder.get("/")
    assert warning not in Reader(people.mara).get("/")
    rita = Reader(people.rita)
    assert "It rings again at" in rita.get(f"/pages/{number}")
    api = rita.fetch(f"/api/v1/pages?incident={incident.key}")
    assert [page["id"] for page in api.json()["items"]] == [str(number)]
    assert rita.fetch(f"/api/v1/pages/{number}").json()["rings_again_at"] == "2026-03-02T09:30:00Z"
    clock.advance(minutes=31)
    drain()
    again = Reader().get(link)
    assert "It rings again: it had been acknowledged" in again
    assert "Acknowledge</button>" in again
    assert f"{who} had acknowledged it, and nobody has done anything since" in rita.get(f"/pages/{number}")
    of_incident = rita.get(f"/incidents/{incident.key}")
    assert "Paged again at" in of_incident
    assert f"{who} had acknowledged it, and nobody did anything after that" in of_incident
    assert "paged again: acknowledged, and nobody did anything since" in of_incident
    Reader().post(link)
    clock.advance(minutes=1)
    with unit_of_work() as uow:
        comments.add(uow, people.raul, incident.id, "I am on it")
    assert "It rings again at" not in Reader().get(link)
    assert warning not in holder.get("/")
    assert rita.fetch(f"/api/v1/pages/{number}").json()["rings_again_at"] is None


def test_what_is_known_by_name_is_veiled_too() -> None:
    assert veil("m.ortiz on FIN-LT-07, twice", ["FIN-LT-07", "m.ortiz"]) == f"{HIDDEN} on {HIDDEN}, twice"
    assert veil("INC-2026-000042 Web shop is down", []) == "INC-2026-000042 Web shop is down"


def test_pages_about_what_one_may_not_see_stay_away(people: People) -> None:
    incident = opened("Insider", restricted_to=[people.ana.id])
    number = call("Insider at work", kind="incident", id=str(incident.id))
    assert paged(number) in ("Rita", "Raul")
    mara = Reader(people.mara)
    assert "Insider" not in mara.get("/pages")
    assert "Insider" not in mara.get("/oncall")
    mara.get(f"/pages/{number}", status=404)
    mara.post(f"/pages/{number}/acknowledge", status=404)
    assert page_of(number).state == "waiting"
    assert "Insider" in Reader(people.ana).get(f"/pages/{number}")


def test_the_inbox_counts_what_is_unread(people: People, drain: Drain) -> None:
    number = call("<b>Ransomware</b>")
    drain()
    who = people.rita if paged(number) == "Rita" else people.raul
    reader = Reader(who)
    shown = reader.get("/inbox")
    assert "1 new thing in your inbox" in shown
    assert "&lt;b&gt;Ransomware" in shown
    assert 'href="http' not in shown
    reader.post("/inbox/read")
    assert "You have read everything" in reader.get("/inbox")


def test_strangers_are_sent_to_sign_in(people: People) -> None:
    for path in ("/pages", "/oncall", "/inbox", "/profile", "/oncall/policies", "/oncall/channels"):
        Reader().get(path, status=303)
