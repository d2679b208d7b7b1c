"""What was dealt with comes back: a closed incident's alert, and a host that was contained; through the real door."""

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
import respx
from at_the_pages import Reader
from people_here import People
from sqlalchemy import select

from cli import assemble
from connectors import instances
from core.actors import SYSTEM
from core.db import reading, unit_of_work
from incidents import closing, lifecycle, rules, upkeep
from incidents.models import Alert, Incident
from ingest import sources
from notify.escalation import Target
from notify import delivery
from notify.models import Page, PageTarget
from notify.oncall import policy_editing
from playbooks import ports

Drain = Callable[..., int]

assemble.load()


def text_of(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


class Tool:
    """A monitoring tool that sends alerts to the door, and what became of them."""

    def __init__(self, door: Any, drain: Drain) -> None:
        self.door, self.drain = door, drain
        with unit_of_work() as uow:
            self.source, self.secret = sources.create(uow, SYSTEM, name="edr", connector="generic_json")

    def send(self, **alert: Any) -> Incident | None:
        """Send an alert; gives the incident that it belongs to when everything has been done."""
        headers = {"Authorization": f"Bearer {self.secret}"}
        answer = self.door.post(f"/ingest/{self.source.name}", json=alert, headers=headers)
        assert answer.status_code == 202, answer.text
        self.drain()
        with reading() as session:
            newest = session.scalars(select(Alert).order_by(Alert.id.desc()).limit(1)).one()
            return session.get(Incident, newest.incident_id) if newest.incident_id else None


@pytest.fixture
def tool(clock: Any, people: People, door: Any, drain: Drain) -> Tool:
    """A tool, with Mara on call."""
    ports.use(None)
    with unit_of_work() as uow:
        rules.seed(uow)
        upkeep.seed(uow)
        target = (Target("user", str(people.mara.user_id)),)
        draft = policy_editing.PolicyDraft("default", (policy_editing.StepDraft(target, delay=120),), target, is_default=True)
        policy_editing.create_policy(uow, SYSTEM, draft)
    return Tool(door, drain)


def pages(incident: Incident) -> list[Page]:
    with reading() as session:
        return list(session.scalars(select(Page).where(Page.subject_id == str(incident.id)).order_by(Page.id)))


def reached(page: Page) -> list[str]:
    with reading() as session:
        query = select(PageTarget.user_id).where(PageTarget.page_id == page.id).order_by(PageTarget.created_at)
        return [str(user) for user in session.scalars(query)]


def test_a_closed_incidents_alert_opens_a_recurrence_that_pages(
    tool: Tool, people: People, clock: Any, drain: Drain
) -> None:
    alert = {"title": "Beacon to a known address", "severity": "high", "host": "fin-7"}
    first = tool.send(**alert)
    assert first is not None
    with unit_of_work() as uow:
        closing.close(uow, people.rita, first.id, closing.Closing("operational_error"))
    drain()
    clock.advance(hours=2)
    again = tool.send(**alert)
    assert again is not None
    assert again.id != first.id
    assert again.recurrence_of == first.id
    told = text_of(Reader(people.rita).get(f"/incidents/{again.key}"))
    assert f"Recurrence of {first.key}" in told
    (page,) = pages(again)
    assert f"It is a recurrence of {first.key}" in page.message
    assert (page.severity, reached(page)) == ("high", [people.mara.id])
    assert again.key in text_of(Reader(people.mara).get("/"))
    assert f"recurrence of {first.key}" in text_of(Reader(people.mara).get(f"/pages/{page.id}"))
    quiet = {"title": "A port was scanned", "severity": "medium", "host": "fin-8"}
    assert tool.send(**quiet) is None, "a first sight of medium is no incident"


def test_a_contained_account_that_is_at_work_calls_its_lead(
    tool: Tool, people: People, clock: Any, drain: Drain
) -> None:
    case = tool.send(title="Odd sign-in", severity="high", user="m.ortiz", host="fin-7")
    assert case is not None
    (first,) = pages(case)
    with unit_of_work() as uow:
        delivery.acknowledge(uow, people.mara, first.id, "web")
        instances.create(
            uow, SYSTEM, name="okta", connector="okta", settings={"base_url": "https://acme.okta.com"},
            secrets={"token": "t"},
        )  # fmt: skip
        lifecycle.assign(uow, people.raul, case.id, people.raul.user_id)
    raul = Reader(people.raul)
    of = re.search(r"do=identity\.disable_user&amp;of=([0-9a-f-]+)", raul.get(f"/incidents/{case.key}"))
    assert of is not None
    with respx.mock(assert_all_called=False) as okta:
        okta.post("https://acme.okta.com/api/v1/users/m.ortiz/lifecycle/suspend").respond(200, json={})
        okta.get("https://acme.okta.com/api/v1/users/m.ortiz").respond(200, json={"id": "u", "status": "SUSPENDED"})
        raul.post(
            f"/incidents/{case.key}/act", do="identity.disable_user", of=of[1], key="contain-by-hand", bound="1",
            word="APPROVE", reason="the owner says it was not them",
        )  # fmt: skip
        drain()
        clock.advance(minutes=1)
        drain()
        clock.advance(minutes=20)
        with reading() as session:
            before = session.get_one(Incident, case.id).priority
        assert before == "p2"
        joined = tool.send(title="A new sign-in", severity="medium", user="m.ortiz", host="fin-7")
        assert joined is not None
        assert joined.id == case.id
    with reading() as session:
        assert session.get_one(Incident, case.id).priority == "p1", "it goes to the front"
    (page,) = pages(case)[1:]
    assert page.title == f"{case.key}: containment of m.ortiz may have failed"
    assert "okta.suspend_user is in force" in page.message
    assert reached(page) == [people.raul.id], "the lead first"
    clock.advance(seconds=121)
    drain("notify.pages")
    assert reached(page) == [people.raul.id, people.mara.id]
    told = text_of(raul.get(f"/incidents/{case.key}"))
    assert "Containment of m.ortiz may have failed. It was seen at work" in told
    assert "saw an alert about something under a countermeasure" in told
    assert "Containment of m.ortiz may have failed" in text_of(raul.get("/"))
    assert "Containment of" not in text_of(Reader(people.rita).get("/")), "it has a lead"
    measure = re.search(r'action="(/countermeasures/[0-9a-f-]+/holds)"', raul.get(f"/incidents/{case.key}"))
    assert measure is not None
    raul.post(measure[1], 422, note="")
    raul.post(measure[1], note="a queued sign-in of yesterday; the account is suspended")
    told = text_of(raul.get(f"/incidents/{case.key}"))
    assert "may have failed. It was seen" not in told
    assert "looked, and says that the countermeasure holds" in told
    raul.post(measure[1], 409, note="again")
    clock.advance(minutes=5)
    tool.send(title="A new sign-in", severity="medium", user="m.ortiz", host="fin-7")
    assert "Containment of m.ortiz may have failed" in text_of(raul.get("/")), "the next sign raises it again"
