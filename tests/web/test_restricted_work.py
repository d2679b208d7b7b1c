"""What is stuck, journalled or rung about a restricted incident is told to its readers only; others read that there is something."""

import hashlib
from datetime import timedelta
from uuid import UUID

import pytest
from at_the_pages import Reader, text_of
from incident_bench import SOURCE, draft, take
from people_here import People
from sqlalchemy import select

from cli import assemble
from core import access
from core.actors import SYSTEM
from core.db import reading, unit_of_work
from core.ids import new_id
from core.journal import Fact, record
from core.types import Ref, Severity
from incidents import closing, lifecycle
from incidents.models import AlertDelivery, Incident, Task
from ingest import facts as door
from ingest.models import Delivery, Source
from notify import delivery
from notify.escalation import Target
from notify.oncall import policy_editing
from playbooks.models import PlaybookRun
from run_bench import publish
from playbooks import runs

assemble.load()
pytestmark = pytest.mark.usefixtures("sqlite_database")
WORD = "zebrastripe"


def restricted(people: People) -> tuple[UUID, UUID]:
    """An incident that only Mara may see, and the alert it came from."""
    (done,) = take(draft(title=f"Insider {WORD}"))
    assert done.incident_id is not None
    with unit_of_work() as uow:
        lifecycle.restrict(uow, people.mara, done.incident_id, [])
    return done.incident_id, done.alert_id


def stuck_pair(people: People) -> tuple[str, str]:
    """A stuck run about the restricted incident, and one about an open incident; both say what failed."""
    case, _ = restricted(people)
    (plain,) = take(draft(title="A plain one", fingerprint=(("n", "1"),)))
    publish("- {id: say, task: {title: Talk to them}}")
    ids = []
    with unit_of_work() as uow:
        for of, said in ((case, WORD), (plain.incident_id, "plainly")):
            run = runs.start(uow, people.mara, playbook="p", subject=Ref("incident", str(of)))
            uow.flush()
            run.parked_at, run.due_at, run.error = uow.now, None, f"KeyError: {said}"
            ids.append(str(run.id))
    return ids[0], ids[1]


def test_stuck_work_is_told_to_those_who_may_see_what_it_is_about(people: People) -> None:
    hidden, plain = stuck_pair(people)
    rita, mara = Reader(people.rita), Reader(people.mara)
    page = rita.get("/settings/work")
    assert WORD not in page
    assert hidden not in page
    assert "KeyError: plainly" in page
    assert "1 stuck row is about something you may not see." in page
    assert "2 pieces of work are stuck" in text_of(page), "that there is something is no secret"
    (listed,) = rita.fetch("/api/v1/work/parked").json()["items"]
    assert listed["id"] == plain
    seen = mara.get("/settings/work")
    assert f"KeyError: {WORD}" in seen
    assert "you may not see" not in seen
    assert {one["id"] for one in mara.fetch("/api/v1/work/parked").json()["items"]} == {hidden, plain}

    rita.post("/settings/work/replay", status=404, row=f"playbooks.runs:{hidden}")
    again = {"rows": [{"kind": "playbooks.runs", "id": hidden}]}
    headers = {"X-CSRF-Token": rita.csrf}
    assert rita._send("POST", "/api/v1/work/replay", json=again, headers=headers).status_code == 404
    with reading() as session:
        assert session.get_one(PlaybookRun, UUID(hidden)).parked_at is not None


def test_a_page_of_hidden_rows_still_leads_to_the_next(people: People) -> None:
    _, plain = stuck_pair(people)
    with unit_of_work() as uow:
        uow.get_one(PlaybookRun, UUID(plain)).parked_at = uow.now - timedelta(minutes=1)
    rita = Reader(people.rita)
    first = rita.fetch("/api/v1/work/parked?limit=1").json()
    assert first["items"] == []
    second = rita.fetch(f"/api/v1/work/parked?limit=1&after={first['next']}").json()
    assert [one["id"] for one in second["items"]] == [plain]
    assert second["next"] is None


def test_the_journal_tells_why_a_delivery_was_set_aside_to_its_readers_only(people: People) -> None:
    _, alert = restricted(people)
    with unit_of_work() as uow:
        brought = uow.scalars(select(AlertDelivery.delivery_id).where(AlertDelivery.alert_id == alert)).one()
        source = Source(
            id=SOURCE.id, name=SOURCE.name, connector=SOURCE.connector, proof="bearer", trust="normal",
            created_at=uow.now,
        )  # fmt: skip
        forgotten = new_id()
        uow.add(source)
        uow.add(
            Delivery(
                id=brought, received_at=uow.now, source_id=SOURCE.id, body=b"x", content_type="text/plain", headers={},
                digest=hashlib.sha256(b"x").digest(), size=1, state="quarantined", reason=WORD, alerts=1, fence=0,
                attempts=0,
            )
        )  # fmt: skip
        for one, said in ((brought, WORD), (forgotten, "long ago")):
            refs = (Ref("delivery", str(one)), Ref("source", str(SOURCE.id)))
            record(uow, SYSTEM, Fact(door.DELIVERY_QUARANTINED, refs, {"source": SOURCE.name}, {"reason": said}))
    aldo, mara = Reader(people.aldo), Reader(people.mara)
    asked = ("/journal?verb=delivery", "/api/v1/journal?verb=delivery.quarantined", f"/api/v1/journal?ref=delivery:{brought}")
    for path in asked:
        assert WORD in mara.fetch(path).text, path
        assert WORD not in aldo.fetch(path).text, path
    assert "long ago" in aldo.fetch(asked[1]).text, "the delivery was forgotten, and no source is restricted"
    with unit_of_work() as uow:
        uow.get_one(Source, SOURCE.id).restricted_to = [str(people.mara.user_id)]
    assert "long ago" not in aldo.fetch(asked[1]).text
    assert "long ago" in mara.fetch(asked[1]).text


def test_a_recurrence_names_the_closed_incident_to_its_readers_only(people: People) -> None:
    case, _ = restricted(people)
    with unit_of_work() as uow:
        for task in uow.scalars(select(Task)):
            task.status = "done"
        uow.flush()
        closing.close(uow, people.mara, case, closing.Closing("operational_error", "it was nothing"))
        key = uow.get_one(Incident, case).key
    (again,) = take(draft(title="Back again"))
    with reading() as session:
        assert session.get_one(Incident, again.incident_id).recurrence_of == case
    ana, mara = Reader(people.ana), Reader(people.mara)
    paths = (
        f"/api/v1/incidents/{again.incident_id}", "/api/v1/incidents", "/api/v1/alerts", f"/api/v1/alerts/{again.alert_id}",
        f"/api/v1/journal?ref=incident:{again.incident_id}",
    )  # fmt: skip
    for path in paths:
        told = ana.fetch(path).text
        assert str(again.incident_id) in told, path
        assert str(case) not in told, path
        assert key not in told, path
    for path in paths[:4]:
        assert str(case) in mara.fetch(path).text, path


def test_who_was_paged_for_what_they_may_not_see_reads_that_it_rang_and_can_say_that_they_have_it(people: People) -> None:
    case, _ = restricted(people)
    with unit_of_work() as uow:
        target = (Target("user", str(people.raul.user_id)),)
        steps = (policy_editing.StepDraft(target, delay=300),)
        draft_of_it = policy_editing.PolicyDraft("default", steps, target, is_default=True)
        policy_editing.create_policy(uow, SYSTEM, draft_of_it)
        page = delivery.page(
            uow, SYSTEM, policy="default", subject=Ref("incident", str(case)), title=f"Insider {WORD}", message=WORD,
            severity=Severity.high, path=f"/incidents/{case}",
        )  # fmt: skip
        uow.flush()
        page_id = page.id
    raul, rita, mara = Reader(people.raul), Reader(people.rita), Reader(people.mara)
    assert rita.fetch("/api/v1/pages").json()["items"] == []
    (row,) = raul.fetch("/api/v1/pages").json()["items"]
    assert (row["id"], row["state"], row["path"], row["subject_id"]) == (str(page_id), "waiting", "", "")
    told = raul.fetch(f"/api/v1/pages/{page_id}")
    assert told.status_code == 200
    for text in (str(row), told.text):
        assert WORD not in text
        assert str(case) not in text
    assert mara.fetch(f"/api/v1/pages/{page_id}").json()["title"] == f"Insider {WORD}"
    acknowledge = f"/api/v1/pages/{page_id}/acknowledge"
    assert rita._send("POST", acknowledge, headers={"X-CSRF-Token": rita.csrf}).status_code == 404
    had = raul._send("POST", acknowledge, headers={"X-CSRF-Token": raul.csrf}).json()
    assert (had["state"], had["acknowledged_name"]) == ("acknowledged", "Raul")
    assert WORD not in str(had)


def test_who_reads_what_was_sent_stands_in_the_access_log_and_no_body_breaks_a_page(people: People) -> None:
    case, alert = restricted(people)
    (plain,) = take(draft(title="A plain one", fingerprint=(("n", "1"),)))
    with unit_of_work() as uow:
        uow.add(
            Source(
                id=SOURCE.id, name=SOURCE.name, connector=SOURCE.connector, proof="bearer", trust="normal",
                created_at=uow.now,
            )
        )  # fmt: skip
        sent = {}
        for one in (alert, plain.alert_id):
            sent[one] = uow.scalars(select(AlertDelivery.delivery_id).where(AlertDelivery.alert_id == one)).one()
            body = b"[" * 60_000
            uow.add(
                Delivery(
                    id=sent[one], received_at=uow.now, source_id=SOURCE.id, body=body, content_type="application/json",
                    headers={}, digest=hashlib.sha256(body).digest(), size=len(body), state="quarantined", reason="deep",
                    alerts=1, fence=0, attempts=0,
                )
            )  # fmt: skip
    mara, raul, aldo = Reader(people.mara), Reader(people.raul), Reader(people.aldo)
    paths = (f"/quarantine/{sent[plain.alert_id]}", f"/alerts/{plain.alert_id}", f"/api/v1/deliveries/{sent[plain.alert_id]}")
    for path in paths:
        raul.fetch(path)
    mara.get(f"/alerts/{alert}")
    with reading() as session:
        told = [(one.actor_name, one.doing, one.thing_id, one.within) for one in access.log(session)]
    assert told == [
        ("Mara", "read what was sent by", str(sent[alert]), case),
        ("Raul", "read what was sent by", str(sent[plain.alert_id]), plain.incident_id),
    ], "once, though it was read three times"
    page = aldo.get("/journal/access")
    assert f"thing={sent[plain.alert_id]}" in page
    assert str(sent[alert]) not in page, "of a restricted incident its readers hear"
    assert str(sent[alert]) in mara.get("/journal/access")
