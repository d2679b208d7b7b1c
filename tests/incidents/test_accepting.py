"""What people say to ignore is stored, counted and found, and wakes nobody; anything worse or other is not hidden."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from connectors.contract import AlertDraft, Entity
from core import journal
from core.actors import SYSTEM, Actor, ActorKind
from core.auth import users
from core.db import reading, unit_of_work
from core.errors import Conflict, Forbidden, Invalid, NotFound
from core.types import Ref, Severity
from incident_bench import ALL, BOB, NOBODY, READER, SOURCE, alert, draft, incident, low, opened, take, verbs
from incidents import accepting, closing, hiding, indexing, lifecycle, promoting, queries, search
from incidents.acceptance_models import Acceptance
from incidents.accepting import AcceptanceDraft
from incidents.closing import Closing
from incidents.filters import AlertFilter
from incidents.models import Incident
from incidents.opening import SourceFacts
from notify.models import InboxItem

HOST = ("host", "web01", "target")
SCANNER = ("ipv4-addr", "203.0.113.7", "source")


@pytest.fixture
def rita(database: object) -> Actor:
    """A responder who has an account, and so an inbox."""
    with unit_of_work() as uow:
        made = users.create(uow, SYSTEM, email="rita@example.org", name="Rita", roles=["responder"])
    return Actor(ActorKind.person, str(made.id), "Rita", ALL | {"alert.accept"})


def ignore(actor: Actor, of: UUID, **values: Any) -> Acceptance:
    given = {"entity": HOST, "days": 30, "reason": "our own scanner"}
    with unit_of_work() as uow:
        return accepting.accept(uow, actor, of, AcceptanceDraft(**(given | values)))


def closed_as_false(actor: Actor) -> UUID:
    """An alert whose incident was closed as a false positive."""
    (first,) = take(draft())
    assert first.incident_id is not None
    with unit_of_work() as uow:
        closing.close(uow, actor, first.incident_id, Closing("false_positive", "scanner"))
    return first.alert_id


def row(of: Acceptance) -> Acceptance:
    with reading() as session:
        return session.get_one(Acceptance, of.id)


def number_of_incidents() -> int:
    with reading() as session:
        return len(session.scalars(select(Incident)).all())


def test_what_is_ignored_is_stored_counted_and_found_but_opens_nothing(rita: Actor, clock: Any) -> None:
    made = ignore(rita, closed_as_false(rita))
    done = take(draft(), draft(), draft(title="Brute force, again", fingerprint=(("other", "1"),)))
    assert [one.incident_id for one in done] == [None, None, None]
    assert number_of_incidents() == 1
    hidden = alert(done[0].alert_id)
    assert (hidden.count, hidden.acceptance_id) == (2, made.id)
    assert hidden.why is not None
    assert hidden.why.endswith("as Rita said: our own scanner")
    for _ in range(20):  # crossing ten asks the rules again
        clock.advance(minutes=1)
        take(draft())
    assert row(made).hidden == 23
    assert row(made).last_hidden_at == clock.now
    assert number_of_incidents() == 1
    with unit_of_work() as uow:
        indexing.index_alerts(uow)
    with reading() as session:
        found = queries.alerts(session, rita, AlertFilter(acceptance=made.id)).items
        assert {one.title for one in found} == {"Brute force against sshd", "Brute force, again"}
        assert len(queries.alerts(session, rita, AlertFilter(ignored=False)).items) == 1
        assert hidden.id in {hit.id for hit in search.search(session, rita, "brute", limit=10)}
    assert verbs("acceptance", made.id) == ["acceptance.made"]


@pytest.mark.parametrize(
    ("other", "opens"),
    [
        ({}, False),
        ({"severity": Severity.low}, False),
        ({"severity": Severity.critical}, True),
        ({"rule_id": "5713"}, True),
        ({"entities": (Entity("host", "web02", "target"),)}, True),
        ({"entities": (Entity("host", "web01", "target"), Entity("host", "web02", "target"))}, True),
        ({"entities": (Entity("host", "web01", "source"),)}, True),
        ({"entities": (Entity("host", "web01", "target"), Entity("user", "root", "target"))}, False),
    ],
)
def test_only_what_was_meant_is_hidden(rita: Actor, other: dict[str, Any], opens: bool) -> None:
    ignore(rita, closed_as_false(rita))
    (seen,) = take(draft(**({"fingerprint": (("another", "one"),)} | other)))
    assert (seen.incident_id is not None) is opens


def test_what_gets_worse_or_spreads_while_it_is_ignored_opens(rita: Actor) -> None:
    made = ignore(rita, closed_as_false(rita))
    (hidden,) = take(draft())
    (worse,) = take(draft(severity=Severity.critical))
    assert (hidden.alert_id, hidden.incident_id) == (worse.alert_id, None)
    assert worse.incident_id is not None
    assert alert(worse.alert_id).acceptance_id is None
    assert row(made).hidden == 1


def test_another_source_is_not_hidden(rita: Actor) -> None:
    ignore(rita, closed_as_false(rita))
    other = SourceFacts(UUID(int=2), "suricata", "suricata", "normal", timedelta(hours=24))
    assert take(draft(), source=other)[0].incident_id is not None


def test_critical_alerts_need_a_second_word(rita: Actor) -> None:
    (first,) = take(draft(severity=Severity.critical))
    with pytest.raises(Invalid) as caught:
        ignore(rita, first.alert_id)
    assert [problem.path for problem in caught.value.problems] == ["criticals"]
    ignore(rita, first.alert_id, criticals=True)
    with unit_of_work() as uow:
        closing.close(uow, rita, first.incident_id or uuid4(), Closing("false_positive"))
    assert take(draft(severity=Severity.critical))[0].incident_id is None


def test_its_time_ends_by_itself_and_its_owner_is_told_before(rita: Actor, clock: Any, drain: Any) -> None:
    made = ignore(rita, closed_as_false(rita), days=7)
    for _ in range(9):
        take(draft())
        with unit_of_work() as uow:
            accepting.expire(uow)
        clock.advance(hours=20)
    clock.advance(hours=-5)
    (again,) = take(draft())  # it has never fallen quiet, and never got worse
    assert again.incident_id is not None
    assert "wazuh" in (incident(again.incident_id).source or "")
    drain("notify.messages")
    with unit_of_work() as uow:
        accepting.expire(uow)
    with reading() as session:
        (told,) = session.scalars(select(InboxItem).where(InboxItem.user_id == rita.user_id))
    assert told.title.startswith("Ends ")
    assert told.link.endswith("/ignored")
    ended = row(made)
    assert (ended.ended_at, ended.ended_by) == (made.until, None)
    assert verbs("acceptance", made.id)[0] == "acceptance.ended"


def test_it_is_extended_and_ended_by_people(rita: Actor, clock: Any) -> None:
    made = ignore(rita, closed_as_false(rita), days=7)
    clock.advance(days=6)
    with unit_of_work() as uow:
        accepting.expire(uow)
        accepting.extend(uow, rita, made.id, 90)
    assert (row(made).until, row(made).told_at) == (clock.now + timedelta(days=90), None)
    take(draft())
    with unit_of_work() as uow:
        accepting.end(uow, rita, made.id)
    assert take(draft())[0].incident_id is not None
    with pytest.raises(Conflict), unit_of_work() as uow:
        accepting.extend(uow, rita, made.id, 7)
    assert verbs("acceptance", made.id) == ["acceptance.ended", "acceptance.extended", "acceptance.made"]
    with reading() as session:
        assert accepting.number_live(session, rita) == 0
        assert [one.id for one in accepting.listed(session, rita, live=False).items] == [made.id]


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"days": 365}, "days"),
        ({"reason": " "}, "reason"),
        ({"entity": ("host", "db01", "target")}, "entity"),
        ({"owner": UUID(int=99)}, "owner"),
    ],
)
def test_what_is_wrong_is_said(rita: Actor, values: dict[str, Any], path: str) -> None:
    (low_one,) = take(low())
    with pytest.raises(Invalid) as caught:
        ignore(rita, low_one.alert_id, **values)
    assert [problem.path for problem in caught.value.problems] == [path]


def test_the_same_twice_is_a_conflict_but_worse_is_new(rita: Actor) -> None:
    (low_one,) = take(low())
    ignore(rita, low_one.alert_id)
    with pytest.raises(Conflict, match="extend"):
        ignore(rita, low_one.alert_id)
    (high_one,) = take(draft())
    ignore(rita, high_one.alert_id)


def test_who_may_and_who_may_see_it(rita: Actor) -> None:
    case_readers = [str(rita.user_id)]
    (first,) = take(draft())
    assert first.incident_id is not None
    with unit_of_work() as uow:
        lifecycle.restrict(uow, rita, first.incident_id, case_readers)
    for nobody in (READER, NOBODY):
        with pytest.raises(Forbidden):
            ignore(nobody, first.alert_id)
    with pytest.raises(NotFound):
        ignore(Actor(BOB.kind, BOB.id, BOB.name, ALL | {"alert.accept"}), first.alert_id)
    with unit_of_work() as uow:
        other = users.create(uow, SYSTEM, email="bo@example.org", name="Bo", roles=["responder"])
    with pytest.raises(Invalid, match="may not see it"):
        ignore(rita, first.alert_id, owner=other.id)
    made = ignore(rita, first.alert_id)
    with reading() as session:
        assert accepting.number_live(session, READER) == 0
        assert accepting.number_live(session, rita) == 1
        seen = queries.readable(
            session, READER, journal.entries(session, ref=Ref("acceptance", str(made.id)))
        )
        assert seen == []


def test_an_alert_that_is_ignored_can_be_made_an_incident_by_hand(rita: Actor) -> None:
    made = ignore(rita, closed_as_false(rita))
    (hidden,) = take(draft())
    with unit_of_work() as uow:
        case = promoting.open_for(uow, rita, hidden.alert_id)
    assert alert(hidden.alert_id).acceptance_id is None
    take(draft())
    assert alert(hidden.alert_id).incident_id == case.id
    assert row(made).hidden == 1


def test_a_machine_with_two_names_is_one_machine(rita: Actor) -> None:
    both = (Entity("host", "web01", "target"), Entity("host", "web01.example.org", "target"))
    (first,) = take(low(entities=both))
    ignore(rita, first.alert_id)
    (again,) = take(draft(entities=both, severity=Severity.low, fingerprint=(("x", "y"),)))
    assert alert(again.alert_id).acceptance_id is not None
    (other,) = take(draft(entities=both[1:], fingerprint=(("x", "z"),)))
    assert alert(other.alert_id).acceptance_id is None


def test_a_source_page_offers_what_is_loud(rita: Actor) -> None:
    take(*[low() for _ in range(30)])
    take(low(rule_id="2", title="Port scan", fingerprint=(("scan", "1"),), entities=(Entity(*SCANNER),)))
    take(low(rule_id="3", title="Names nothing", fingerprint=(("none", "1"),), entities=()))
    with reading() as session:
        loud = accepting.loudest(session, rita, SOURCE.id)
    assert [(one.alert.title, one.entity, one.times) for one in loud] == [
        ("Brute force against sshd", HOST, 30), ("Port scan", SCANNER, 1),
    ]  # fmt: skip
    ignore(rita, loud[0].alert.id)
    with reading() as session:
        assert [one.alert.title for one in accepting.loudest(session, rita, SOURCE.id)] == ["Port scan"]


def test_many_ignored_ones_are_no_storm(rita: Actor) -> None:
    """What was never going to open an incident does not make the weather for what does."""
    ignore(rita, closed_as_false(rita))
    take(*[draft(fingerprint=(("n", str(number)),)) for number in range(60)])
    (other,) = take(
        draft(
            rule_id="9",
            fingerprint=(("n", "other"),),
            title="Another",
            entities=(Entity("host", "db1", "target"),),
        )
    )
    assert incident(other.incident_id).tags == []
    assert opened().key  # by hand as ever


def test_rules_without_an_id_are_told_by_name_or_title() -> None:
    unnamed = AlertDraft(title="Disk full", severity=Severity.low, fingerprint=())
    assert hiding.rule_of(unnamed.rule_id, unnamed.rule_name, unnamed.title) == "Disk full"
    assert hiding.rule_of(None, "disk", "Disk full") == "disk"
