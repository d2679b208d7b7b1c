"""What was delivered becomes alerts; what cannot be read is set aside and still heard."""


import pytest
from delivered import deliver, row
from sqlalchemy import select

from core import journal
from core.actors import SYSTEM, Actor, ActorKind
from core.db import reading, unit_of_work
from core.errors import Forbidden, NotFound
from core.types import Ref
from incidents import opening
from incidents.models import Alert
from ingest import process, queries, sources
from ingest.models import Subscription


def alerts() -> list[Alert]:
    with reading() as session:
        return list(session.scalars(select(Alert).order_by(Alert.id)))


ALERT = {"title": "Disk full", "severity": "high", "host": "db-1"}


def test_a_delivery_becomes_alerts(sender, drain):
    source = sender().source
    kept = deliver(source, b'{"title": "one", "severity": "low"}\n{"title": "two", "severity": "high"}')
    assert drain("ingest.deliveries") == 1
    done = row(kept.id)
    assert (done.state, done.alerts, done.due_at, done.reason) == ("processed", 2, None, None)
    assert sorted(alert.title for alert in alerts()) == ["one", "two"]
    with reading() as session:
        assert sources.get(session, source.id).last_seen_at is not None


def test_events_that_are_no_alerts_are_ignored(sender, drain):
    kept = deliver(sender().source, [])
    drain("ingest.deliveries")
    assert (row(kept.id).state, row(kept.id).reason) == ("ignored", "It holds no events.")
    assert alerts() == []


def test_a_form_with_a_document_is_read(sender, drain):
    source = sender().source
    kept = deliver(
        source,
        b"payload=%7B%22title%22%3A%22x%22%2C%22severity%22%3A%22low%22%7D",
        "application/x-www-form-urlencoded",
    )
    drain("ingest.deliveries")
    assert row(kept.id).state == "processed"


def test_what_cannot_be_read_is_quarantined_and_still_an_alert(sender, drain):
    source = sender().source
    kept = deliver(source, b"\xff{oops")
    deliver(source, b"{oops again")
    drain("ingest.deliveries")
    done = row(kept.id)
    assert done.state == "quarantined"
    assert "not JSON" in done.reason
    (alert,) = alerts()
    assert alert.title == "Unreadable alert from tool"
    assert (str(alert.severity), alert.count) == ("medium", 2)
    with reading() as session:
        assert queries.quarantined(session, SYSTEM) == 2
        entries = journal.entries(session, ref=Ref("delivery", str(kept.id)))
        assert [entry.verb for entry in entries] == ["delivery.quarantined"]


def test_a_part_that_cannot_be_read_does_not_hide_behind_one_that_can(sender, drain):
    kept = deliver(sender().source, b'{"title": "one", "severity": "low"}\n{oops')
    drain("ingest.deliveries")
    assert (row(kept.id).state, row(kept.id).alerts) == ("quarantined", 1)
    assert sorted(alert.title for alert in alerts()) == ["Unreadable alert from tool", "one"]


def test_a_mended_mapping_reads_what_was_quarantined(sender, drain, clock):
    source = sender().source
    kept = deliver(source, {"what": "Strange thing", "how": "bad"})
    drain("ingest.deliveries")
    assert row(kept.id).state == "quarantined"
    mapping = {
        "title": "what",
        "severity": {"from": "how", "values": {"bad": "high"}},
        "fingerprint": ["what"],
    }
    clock.advance(hours=3)
    with unit_of_work() as uow:
        sources.change(uow, SYSTEM, source.id, config={"mapping": mapping})
        assert process.replay(uow, SYSTEM, [kept.id]) == 1
    drain("ingest.deliveries")
    done = row(kept.id)
    assert (done.state, done.alerts, done.replays, done.reason) == ("processed", 1, 1, None)
    stood_in, real = alerts()
    assert real.title == "Strange thing"
    assert real.late, "an alert read three hours after it came must not act as new"
    assert stood_in.ended_at is not None, "nothing is quarantined any more"
    with reading() as session:
        verbs = [entry.verb for entry in journal.entries(session, ref=Ref("delivery", str(kept.id)))]
    assert verbs == ["delivery.replayed", "delivery.quarantined"]


def test_replaying_needs_a_permission_and_something_to_replay(sender, drain):
    kept = deliver(sender().source, ALERT)
    nobody = Actor(ActorKind.person, "00000000-0000-7000-8000-000000000000", "Nobody")
    with pytest.raises(NotFound, match="waiting already"), unit_of_work() as uow:
        process.replay(uow, SYSTEM, [kept.id])
    drain("ingest.deliveries")
    with pytest.raises(Forbidden), unit_of_work() as uow:
        process.replay(uow, nobody, [kept.id])


def test_one_poisoned_delivery_holds_up_no_other(sender, drain, clock, monkeypatch):
    source = sender().source
    good = [deliver(source, {"title": f"good {n}", "severity": "low"}) for n in range(5)]
    bad = deliver(source, {"title": "poison", "severity": "low"})
    accept = opening.accept

    def fragile(uow, actor, facts, items):
        if any(draft.title == "poison" for draft, _, _ in items):
            raise RuntimeError("a defect")
        return accept(uow, actor, facts, items)

    monkeypatch.setattr(opening, "accept", fragile)
    for _ in range(6):
        drain("ingest.deliveries")
        clock.advance(minutes=10)
    assert {row(one.id).state for one in good} == {"processed"}
    parked = row(bad.id)
    assert parked.state == "quarantined"
    assert "a defect" in parked.reason
    assert "Unreadable alert from tool" in [alert.title for alert in alerts()]
    monkeypatch.undo()
    with unit_of_work() as uow:
        process.replay(uow, SYSTEM, [bad.id])
    drain("ingest.deliveries")
    assert row(bad.id).state == "processed"


def test_a_worker_that_dies_loses_nothing_and_counts_nothing_twice(sender, drain, clock, monkeypatch):
    source = sender().source
    kept = deliver(source, ALERT)

    class Killed(BaseException):
        pass

    def dies(*args):
        raise Killed

    for place in ("finish_with", "_take_in_source"):
        with monkeypatch.context() as patched:
            patched.setattr(process, place, dies)
            with pytest.raises(Killed):
                drain("ingest.deliveries")
        assert alerts() == []
        assert drain("ingest.deliveries") == 0  # its lease still runs
        clock.advance(seconds=61)
    drain("ingest.deliveries")
    assert row(kept.id).state == "processed"
    assert [alert.count for alert in alerts()] == [1]


def test_a_topics_wish_to_be_confirmed_is_kept_and_never_followed(sender, drain):
    source = sender("cloud", "aws_sns", proof="url_token").source
    message = {
        "Type": "SubscriptionConfirmation", "TopicArn": "arn:aws:sns:eu-west-1:1:t", "Token": "x", "MessageId": "m",
        "SubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=x",
    }  # fmt: skip
    kept = deliver(source, message)
    drain("ingest.deliveries")
    assert row(kept.id).state == "ignored"
    with reading() as session:
        (wish,) = session.scalars(select(Subscription)).all()
    assert (wish.topic, wish.confirmed_at) == ("arn:aws:sns:eu-west-1:1:t", None)


def test_health_of_sources_and_pages_of_deliveries(sender, drain):
    source, other = sender().source, sender("other").source
    for n in range(3):
        deliver(source, {"title": f"t{n}", "severity": "low"})
    deliver(other, b"{oops")
    drain("ingest.deliveries")
    with reading() as session:
        health = {one.source.name: one for one in queries.sources(session)}
        assert (health["tool"].last_hour, health["tool"].quarantined, health["tool"].live_secrets) == (
            3,
            0,
            1,
        )
        assert (health["other"].last_hour, health["other"].quarantined, health["other"].waiting) == (1, 1, 0)
        first = queries.deliveries(session, SYSTEM, source_id=source.id, limit=2)
        rest = queries.deliveries(session, SYSTEM, source_id=source.id, before=first.next, limit=2)
        assert (len(first.items), len(rest.items), rest.next) == (2, 1, None)
        aside = queries.deliveries(session, SYSTEM, state="quarantined").items
        assert [delivery.source_id for delivery, _ in aside] == [other.id]
        assert bytes(queries.delivery(session, SYSTEM, rest.items[0][0].id)[0].body).startswith(b'{"title"')
