"""Staff report something without an account, see how it goes on by their link, and are answered from the incident."""

import re
from collections.abc import Iterator

import pytest
from at_the_pages import Reader
from people_here import People
from sample_mails import phish
from sqlalchemy import select

from cli import assemble
from core.db import reading, unit_of_work
from core.settings import configure, settings
from incidents import lifecycle
from incidents.models import Attachment, Incident, Reporter
from web.routes import report

pytestmark = pytest.mark.usefixtures("sqlite_database")

assemble.load()


@pytest.fixture(autouse=True)
def switched_on(people: People) -> Iterator[None]:
    """The form is on; nothing is left of it afterwards."""
    before = settings()
    configure(before.with_(report_form=True))
    yield
    configure(before)


def sent(eva: Reader, status: int = 303, **fields: str) -> str:
    """Where the form leads to, or what it says."""
    token = re.findall(r'name="token" value="([^"]+)"', eva.get("/report"))[0]
    given = {
        "subject": "A strange mail",
        "text": "<script>alert(1)</script> it asks for my password",
        "name": "Eva",
        "token": token,
    }
    answer = eva.post(
        "/report",
        status,
        files=[("files", ("mail.eml", b"From: x\r\nSubject: y\r\n\r\n"))],
        **(given | fields),
    )
    return answer.headers["Location"] if status == 303 else answer.text


def test_from_the_form_to_an_answer(people: People) -> None:
    eva, rita = Reader(), Reader(people.rita)
    page = sent(eva)
    shown = eva.get(page)
    assert "<h1>We have your report</h1>" in shown
    assert "&lt;script&gt;" in shown
    assert "mail.eml" in shown
    with reading() as session:
        incident = session.scalars(select(Incident)).one()
        reporter = session.scalars(select(Reporter)).one()
        assert session.scalars(select(Attachment.kind)).one() == "mail"
    with unit_of_work() as uow:
        lifecycle.change(uow, people.rita, incident.id, {"title": "INTERNAL: Bob sold us"})
    inside = rita.get(f"/incidents/{incident.key}")
    assert "it asks for my password" in inside
    rita.post(f"/incidents/{incident.key}/reporters/{reporter.id}/answer", text="Did you click?", asks="1")
    shown = eva.get(page)
    assert "Did you click?" in shown
    assert "We wait for your answer" in shown
    assert "INTERNAL" not in shown
    assert "Rita" not in shown, "who works here is not for them"
    eva.post(page, text="Yes, at ten", files=[("files", ("screen.png", b"\x89PNG\r\n\x1a\n"))])
    eva.post(page, 422, text=" ")
    assert "Yes, at ten" in rita.get(f"/incidents/{incident.key}")
    messages = rita.fetch(f"/api/v1/incidents/{incident.key}/messages").json()["items"]
    assert [one["inward"] for one in messages] == [True, False, True]
    Reader(people.aldo).post(f"/incidents/{incident.key}/reporters/{reporter.id}/answer", 403, text="x")
    rita.post(f"/incidents/{incident.key}/reporters/{reporter.id}/link", renew="0")
    eva.get(page, 404)
    eva.post(page, 404, text="still here?")


def test_a_report_of_a_wave_that_is_known_joins_its_incident() -> None:
    def report(eva: Reader, number: int, sender: str, subject: str = "Your password expires today") -> Reporter:
        mail = phish(number)
        mail.replace_header("From", sender)
        mail.replace_header("Subject", subject)
        token = re.findall(r'name="token" value="([^"]+)"', eva.get("/report"))[0]
        given = {"subject": "A suspicious mail", "text": "It asks for my password", "name": f"P{number}", "token": token}
        page = eva.post("/report", 303, files=[("files", ("mail.eml", mail.as_bytes()))], **given).headers["Location"]
        assert "<h1>We have your report</h1>" in eva.get(page)
        with reading() as session:
            return session.scalars(select(Reporter).where(Reporter.name == f"P{number}")).one()

    eva = Reader()
    first = report(eva, 1, "it@evil.example")
    with reading() as session:
        told = session.get_one(Incident, first.incident_id)
        assert (told.category, told.title) == ("phishing", "A suspicious mail")
    assert report(eva, 2, "it@evil.example", "Last reminder").incident_id == first.incident_id
    assert report(eva, 3, "help@third.example", "Another").incident_id != first.incident_id


def test_nobody_without_the_link_sees_anything(people: People) -> None:
    page = sent(Reader())
    for wrong in (page[:-3] + "aaa", "/report/INC-2026-000001", page.replace("000001", "000002")):
        Reader().get(wrong, 404)
        Reader().post(wrong, 404, text="x")


def test_a_code_a_trap_and_a_limit(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(settings().with_(report_code="blue door"))
    assert "This is not the code" in sent(Reader(), 422, code="red door")
    assert sent(Reader(), code="blue door").startswith("/report/INC-")
    assert sent(Reader(), code="blue door", website="https://spam.example") == "/report"
    assert "cut off" in sent(Reader(), 422, code="blue door", token="forged")
    assert "is not a mail address" in sent(Reader(), 422, code="blue door", email="a@b.org,c@d.org")
    with reading() as session:
        assert len(session.scalars(select(Incident)).all()) == 1
    monkeypatch.setattr(report, "FROM_ONE", 6)
    sent(Reader(), code="blue door")
    Reader().post("/report", 429, subject="x")


def test_it_is_off_until_an_administrator_switches_it_on(people: People) -> None:
    assert f"{settings().base_url}/report" in Reader(people.ana).get("/settings/installation")
    configure(settings().with_(report_form=False))
    Reader().get("/report", 404)
    Reader().post("/report", 404, subject="x")
