"""A restricted incident leaks nowhere: every route, walked as somebody who may do all else, says nothing of it.

Routes are taken from the application: a new one is walked without being named here, and one with a new kind of
identifier fails until the secret's own thing of that kind is given.
"""

import asyncio
import hashlib
import io
import re
from typing import Any
from uuid import UUID

import pytest
from at_the_pages import Reader, text_of
from every_route import routes
from incident_bench import SOURCE, draft, take
from people_here import People
from run_bench import publish
from starlette.requests import Request
from sqlalchemy import select

from cli import assemble
from connectors import calls, instances
from connectors.calls import CallContext
from connectors.contract import Entity
from connectors.models import ActionCall, Countermeasure
from core import blobs
from core import live as changes
from core.actors import SYSTEM, Actor, ActorKind
from core.db import UnitOfWork, reading, unit_of_work
from core.types import Ref, Severity
from incidents import (
    accepting,
    attachments,
    closing,
    comments,
    disclosing,
    findings,
    follow_ups,
    indexing,
    lifecycle,
    observables,
    parts,
    reaching,
    reporting,
    reviewing,
    stopping,
    tasks,
    verdicts,
)
from incidents.accepting import AcceptanceDraft
from incidents.attachments import Upload
from incidents.models import Alert, AlertDelivery, Attachment, Incident, Reporter, Task
from ingest.models import Delivery, Source
from notify import delivery
from notify.escalation import Target
from notify.models import Page
from notify.oncall import policy_editing
from playbooks import by_hand, runs
from playbooks.models import PlaybookRun
from web import live

assemble.load()
pytestmark = pytest.mark.usefixtures("sqlite_database")

WORD = "zebrastripe"  # in everything that the secret incident holds
HOST = f"host-{WORD}"
PLAYBOOK = Actor(ActorKind.playbook, "secret", "Secret work")
# Not about incidents: these identifiers name what an administrator configures, or open a session.
CONFIGURED = {"witness_id",
    "action", "change_id", "channel", "connector", "factor_id", "feed_id", "instance", "method_id", "name", "override_id", "place_id",
    "policy_id", "row_id", "rule_id", "schedule_id", "subscription_id", "token", "token_id", "user_id", "view_id", "wait_id",
}  # fmt: skip
# Whoever is on call is paged for it by its key alone, and may see that: "a restricted incident needs somebody".
PAGED = ("/pages", "/api/v1/pages", "/oncall", "/inbox")


ROUTES = sorted(
    {
        (method, route.path)
        for route in routes()
        for method in route.methods or ()
        if method != "HEAD"
    }
)


def secret(people: People) -> dict[str, list[str]]:
    """An incident that only Mara may see, with one of everything that can hang on it; identifiers by their name."""
    ids: dict[str, list[str]] = {}
    entities = (Entity("host", HOST, "target"), Entity("domain", f"{WORD}.example.net", "source"))
    (done,) = take(
        draft(title=f"Insider {WORD}", description=WORD, entities=entities, rule_name=f"rule {WORD}")
    )
    assert done.incident_id is not None
    case, mara = done.incident_id, people.mara
    with unit_of_work() as uow:
        ids["delivery_id"] = [str(sent(uow, done.alert_id))]
        target = (Target("user", str(people.raul.user_id)),)
        steps = (policy_editing.StepDraft(target, delay=300),)
        policy_editing.create_policy(
            uow, SYSTEM, policy_editing.PolicyDraft("default", steps, target, is_default=True)
        )
        instances.create(
            uow,
            SYSTEM,
            name="okta",
            connector="okta",
            settings={"base_url": "https://acme.okta.com"},
            secrets={"token": "x"},
        )
        lifecycle.restrict(uow, mara, case, [])
        ref = Ref("incident", str(case))
        key = uow.get_one(Incident, case).key
        comments.add(uow, mara, case, f"note {WORD}")
        observables.attach(uow, mara, case, "domain", f"{WORD}.example.org")
        ids["task_id"] = [
            str(
                tasks.create(
                    uow, mara, case, tasks.TaskDraft(title=f"Ask {WORD}", assign="role:responder")
                ).id
            )
        ]
        file = attachments.add(
            uow, mara, case, Upload(f"{WORD}.txt", blobs.measure(io.BytesIO(WORD.encode()), 1000))
        )
        page = delivery.page(
            uow, SYSTEM, policy="default", subject=ref, title=f"{key}: a restricted incident needs somebody", message="Ask.",
            severity=Severity.high, path=f"/incidents/{key}", key="secret",
        )  # fmt: skip
        call = calls.request(
            uow,
            CallContext(PLAYBOOK, ref, reason=WORD),
            "okta.suspend_user",
            {"user": f"user-{WORD}"},
            key="secret",
        )
        uow.flush()
        call.state, call.due_at = "succeeded", None
        measure = Countermeasure(
            created_at=uow.now, call_id=call.id, subject_kind="incident", subject_id=str(case), action="okta.suspend_user",
            entity_type="user", entity_value=f"user-{WORD}", state="active", probes=0, fence=0, attempts=0, activity_at=uow.now,
        )  # fmt: skip
        uow.add(measure)
        accepted = accepting.accept(
            uow,
            mara,
            done.alert_id,
            AcceptanceDraft(entities_of(uow.get_one(Alert, done.alert_id)), 30, f"known {WORD}"),
        )
        uow.flush()
        ids |= {
            "key": [key, str(case)], "alert_id": [str(done.alert_id)], "attachment_id": [str(file.id)],
            "page_id": [str(page.id)], "call_id": [str(call.id)], "acceptance_id": [str(accepted.id)],
            "row_id": [str(measure.id)],
        }  # fmt: skip
    with unit_of_work() as uow:
        at = uow.now
        found = findings.add(
            uow, mara, case, findings.FindingDraft(occurred_at=at, says=f"They copied {WORD}")
        )
        parts.give(uow, mara, case, "scribe", people.mara.user_id)
        stopping.stop(uow, mara, case, f"the {WORD} account")
        later = follow_ups.add(uow, mara, case, follow_ups.FollowUpDraft(title=f"Change {WORD}"))
        point = reviewing.add(uow, mara, case, reviewing.PointDraft(section="impact", says=f"We saw {WORD}"))
        told = disclosing.add(uow, mara, case, disclosing.DisclosureDraft(f"{WORD} Ltd"))
        value = observables.of_incident(uow, mara, case)[0]
        verdicts.judge(uow, mara, case, value.id, "malicious", because=WORD)
        uow.flush()
        ids["disclosure_id"] = [str(told.id)]
        ids |= {"finding_id": [str(found.id)], "follow_up_id": [str(later.id)], "point_id": [str(point.id)]}
    publish("- {id: say, task: {title: Talk to them}}")
    with unit_of_work() as uow:
        run = runs.start(uow, mara, playbook="p", subject=Ref("incident", str(case)))
        ids["run_id"] = [str(run.id)]
        report = reporting.ReportDraft(
            subject=WORD, text=f"I saw {WORD}", name=WORD, email=f"{WORD}@example.com"
        )
        ids["reporter_id"] = [str(reporting.receive(uow, report, into=uow.get_one(Incident, case)).id)]
        indexing.index_alerts(uow)
    return ids


def sent(uow: UnitOfWork, alert: UUID) -> UUID:
    """The delivery that the alert came in, set aside because a part of it could not be read; its id."""
    brought = uow.scalars(select(AlertDelivery.delivery_id).where(AlertDelivery.alert_id == alert)).one()
    body = f'{{"title": "{WORD}"}}'.encode()
    uow.add(
        Source(id=SOURCE.id, name=SOURCE.name, connector=SOURCE.connector, proof="bearer", trust="normal", created_at=uow.now)
    )
    uow.add(
        Delivery(
            id=brought, received_at=uow.now, source_id=SOURCE.id, body=body, content_type="application/json", headers={},
            digest=hashlib.sha256(body).digest(), size=len(body), state="quarantined", reason=f"no {WORD}", alerts=1,
            fence=0, attempts=0,
        )
    )  # fmt: skip
    return brought


def entities_of(alert: Alert) -> tuple[str, str, str]:
    """What is ignored of it."""
    return accepting.entities_of(alert)[0]


def addresses(path: str, ids: dict[str, list[str]]) -> list[str]:
    """The path with the secret's identifiers; none for what is configured."""
    names = re.findall(r"{(\w+)}", path)
    found = [path]
    for name in names:
        if name == "format_name":
            values = ["html", "json", "pdf", "stix"]
        elif name == "key" and path.startswith("/playbooks/"):
            values = ["p"]
        elif path == ITS_SOURCE:
            values = [SOURCE.name]
        elif name in CONFIGURED and not (name == "row_id" and path.startswith("/countermeasures")):
            return []
        else:
            assert name in ids, f"{path}: give the secret incident's own {name}, or say that it is configured"
            values = ids[name]
        found = [one.replace(f"{{{name}}}", value) for one in found for value in values]
    return found


ASKED = (
    "",
    f"?q={WORD[:5]}",
    "?state=all",
    "?observable=" + HOST,
    "?subject=incident:{id}",
    "?ref=incident:{id}",
    "?incident={key}&state=all",
)


def test_no_route_tells_of_it(people: People) -> None:
    ids = secret(people)
    with reading() as session:
        for model in (Attachment, Task, Reporter):
            assert session.scalar(select(model.id))
    key, case = ids["key"]
    mara = Reader(people.mara)
    assert WORD in mara.get(f"/incidents/{key}"), "its reader does see it"
    leaks = []
    walked = 0
    for who in (people.ana, people.raul):
        reader = Reader(who)
        for method, path in ROUTES:
            if path.startswith(("/live", "/static", "/logout", "/login")):
                continue
            for address in addresses(path, ids):
                named = address != path
                if method != "GET" and not named:
                    continue
                queries = ASKED if method == "GET" and not named else ("",)
                for query in queries:
                    asked = address + query.format(id=case, key=key)
                    more: dict[str, Any] = {} if method == "GET" else {"data": {"csrf": reader.csrf}}
                    answer = reader._send(method, asked, **more)
                    walked += 1
                    told = answer.content.decode("utf-8", "replace").replace(asked, "")
                    told = re.sub(r'(value|href|hx-get)="[^"]*"', "", told) if "?" in asked else told
                    known = key in asked or case in asked or path.startswith(PAGED)
                    secrets = [WORD] if known else [WORD, key, case]
                    leaks += [f"{who.name}: {method} {asked} tells {one}" for one in secrets if one in told]
                    if (
                        named
                        and path not in SAME_FOR_ALL
                        and not path.startswith(PAGED)
                        and answer.status_code < 300
                    ):
                        leaks.append(f"{who.name}: {method} {asked} answers {answer.status_code}")
    assert walked > 300
    assert not leaks, "\n".join(sorted(set(leaks)))
    with reading() as session:
        left = session.get_one(Incident, UUID(case))
        assert (left.owner_id, left.closed_at, left.version) == (None, None, left.version)


# Routes whose identifier is the secret's, but whose answer is about something else.
ITS_SOURCE = "/settings/sources/{name}"
SAME_FOR_ALL = {path for _method, path in ROUTES if path.startswith("/playbooks/")} | {ITS_SOURCE}


def test_what_was_sent_is_read_and_read_again_by_its_readers_only(people: People) -> None:
    ids = secret(people)
    (brought,) = ids["delivery_id"]
    mara, raul = Reader(people.mara), Reader(people.raul)
    for path in (f"/quarantine/{brought}", "/quarantine"):
        assert WORD in mara.get(path), "its reader does see it"
    assert brought in mara.get(f"/settings/sources/{SOURCE.name}")
    assert mara.fetch("/api/v1/deliveries").json()["items"][0]["id"] == brought
    assert mara.fetch(f"/api/v1/deliveries/{brought}").json()["reason"] == f"no {WORD}"
    assert "1 delivery could not be read" in text_of(mara.get("/"))
    assert "could not be read" not in text_of(raul.get("/"))
    assert raul.fetch("/api/v1/deliveries").json()["items"] == []
    assert brought not in raul.get(f"/settings/sources/{SOURCE.name}")
    raul.post("/quarantine/replay", status=404, delivery=brought)
    with reading() as session:
        assert session.get_one(Delivery, UUID(brought)).replays == 0
    with unit_of_work() as uow:
        lifecycle.restrict(uow, people.mara, UUID(ids["key"][1]), [str(people.raul.user_id)])
    assert WORD in raul.get(f"/quarantine/{brought}")
    raul.post("/quarantine/replay", delivery=brought)


def test_counts_do_not_change_for_those_who_may_not_see_it(people: People, clock: Any) -> None:
    take(draft(title="A plain one", entities=(Entity("host", "plain", "target"),), fingerprint=(("n", "1"),)))
    clock.advance(minutes=1)  # Now counts what had begun before
    aldo, mara = Reader(people.aldo), Reader(people.mara)
    paths = ["/", "/incidents", "/incidents?state=all", "/alerts", "/reports", "/ignored", "/countermeasures", "/calls"]

    def figures(reader: Reader) -> dict[str, list[str]]:
        """What stands beside the rail's words, the titles, and on Now the tiles with their numbers and their curve."""
        found = {}
        for path in paths:
            page = reader.get(path)
            rail = re.findall(
                r'href="/(incidents|alerts|playbooks)" class="rail-item(.*?)</a>', page, re.DOTALL
            )
            found[path] = [f"{name}: {text_of('<a ' + inside)}" for name, inside in rail]
            found[path] += re.findall(r"<h1>(.*?)</h1>", page, re.DOTALL)
            page = re.sub(r"<time.*?</time>", "", page)
            tiles = re.findall(r'<section class="tile">(.*?)</section>', page, re.DOTALL)
            found[path] += [tile for tile in tiles if 'href="/pages"' not in tile]  # of pages everybody hears
        return found

    before, seen = figures(aldo), figures(mara)
    assert "incidents: Incidents 1" in before["/"]
    assert len(before["/"]) == 7, "three of the rail, the title, three tiles"
    secret(people)
    clock.advance(minutes=1)
    after = figures(aldo)
    differ = {path: sorted(set(before[path]) ^ set(after[path])) for path in paths if before[path] != after[path]}
    assert not differ, differ
    told = figures(mara)
    assert "incidents: Incidents 2" in told["/"], "its reader's do change"
    assert all(one not in told["/"] for one in seen["/"][4:]), "and so does each tile"


def test_the_stream_says_nothing_of_it(people: People) -> None:
    ids = secret(people)
    case = ids["key"][1]
    own = [f"incident:{case}", f"alert:{ids['alert_id'][0]}", f"task:{ids['task_id'][0]}"]
    changed = [Ref(*topic.split(":")) for topic in own]

    async def heard(actor: Actor) -> str:
        asked = Request({"type": "http", "headers": []})
        answer = await live.stream(asked, actor, ",".join([*own, "incident"]))
        lines = aiter(answer.body_iterator)
        told = [str(await anext(lines))]
        changes.publish(changed)
        changes.end()
        return "".join([*told, *[str(line) async for line in lines]])

    assert "data: incident\n" in asyncio.run(heard(people.raul)), "an incident changed; not which"
    told = asyncio.run(heard(people.mara))
    assert all(topic in told for topic in own)


def test_counts_of_what_is_under_way_leave_it_out_but_for_those_it_called(people: People) -> None:
    raul, rita, mara = Reader(people.raul), Reader(people.rita), Reader(people.mara)

    def figures(reader: Reader) -> list[str]:
        page = reader.get("/")
        tiles = re.findall(r'<section class="tile">(.*?)</section>', page, re.DOTALL)
        rail = re.findall(r'<span class="rail-word">[^<]*</span><span class="rail-count.*?</span>', page)
        return [text_of(one) for one in (*tiles, *rail) if "Needs" not in one]

    before = figures(rita)
    ids = secret(people)
    with unit_of_work() as uow:
        uow.get_one(ActionCall, UUID(ids["call_id"][0])).state = "unknown"
        uow.get_one(PlaybookRun, UUID(ids["run_id"][0])).state = "waiting"
    assert figures(rita) == before
    seen = " ".join(figures(mara))
    for told in ("Pages waiting 2 the oldest since", "1 run 1 waits · 1 action held or unknown", "On-call 2", "Playbooks 1"):
        assert told in seen, told
    called = " ".join(figures(raul))
    for told in ("Pages waiting 2 the oldest since", "On-call 2", "0 runs 0 wait · no action unknown"):
        assert told in called, told
    for path in ("/pages", "/oncall"):
        assert ids["page_id"][0] in raul.get(path)
        assert ids["page_id"][0] not in rita.get(path)


def test_what_is_in_force_for_it_is_not_said_before_an_action(people: People) -> None:
    ids = secret(people)
    user = f"user-{WORD}"
    (mine,) = take(draft(title="Odd", entities=(Entity("user", user, "target"),), fingerprint=(("n", "1"),)))
    path = f"/incidents/{mine.incident_id}/act?do=identity.disable_user&of={observables.observable_id('user', user)}"
    asked = by_hand.Wanted("identity.disable_user", "user", user)
    told = {}
    for reader in (people.raul, people.rita):
        with unit_of_work() as uow:
            if reader is people.rita:
                lifecycle.restrict(uow, people.mara, UUID(ids["key"][1]), [people.rita.id])
            look = by_hand.look(uow, reader, uow.get_one(Incident, mine.incident_id), asked)
        assert look.foreseen is not None
        told[reader.name] = ("In force already" in Reader(reader).get(path), len(look.foreseen.standing))
    assert told == {"Raul": (False, 0), "Rita": (True, 1)}


def test_a_doubt_or_a_hold_of_it_is_told_to_its_readers_only(people: People) -> None:
    ids = secret(people)
    (joined,) = take(draft(title="Odd", entities=(Entity("user", f"user-{WORD}", "target"),), fingerprint=(("n", "1"),)))
    assert joined.incident_id is not None
    raul, mara = Reader(people.raul), Reader(people.mara)
    assert "may have failed" in mara.get("/")
    assert "may have failed" in mara.get(f"/incidents/{joined.incident_id}"), "the account is under a countermeasure"
    assert "Stopped by" in mara.get(f"/incidents/{ids['key'][0]}")
    for page in ("/", f"/incidents/{joined.incident_id}", f"/alerts/{joined.alert_id}"):
        told = raul.get(page)
        assert "may have failed" not in told
        assert ids["key"][0] not in told


def test_a_recurrence_does_not_tell_of_the_closed_one(people: People, clock: Any) -> None:
    ids = secret(people)
    key, case = ids["key"]
    with unit_of_work() as uow:
        row = uow.get_one(Incident, UUID(case))
        for task in uow.scalars(select(Task)):
            task.status = "done"
        uow.flush()
        closing.close(uow, people.mara, row.id, closing.Closing("operational_error", f"it was {WORD}"))
    (again,) = take(draft(title="The same, again", entities=(Entity("host", "other", "target"),)))
    assert again.incident_id is not None
    raul = Reader(people.raul)
    with reading() as session:
        new = session.get_one(Incident, again.incident_id).key
    paths = [f"/incidents/{new}", f"/alerts/{again.alert_id}", f"/reports/{new}", f"/api/v1/incidents/{new}/timeline",
             f"/api/v1/incidents/{new}", f"/api/v1/alerts/{again.alert_id}", f"/reports/{new}/json"]  # fmt: skip
    leaks = [path for path in paths for told in [raul.fetch(path).text] if WORD in told or key in told]
    assert not leaks
    clock.advance(minutes=2)
    with unit_of_work() as uow:
        reaching.page_unattended(uow)
    with reading() as session:
        page = session.scalars(select(Page).where(Page.subject_id == str(again.incident_id))).one()
    assert "It is a recurrence of an earlier one" in page.message
    assert key not in page.message
