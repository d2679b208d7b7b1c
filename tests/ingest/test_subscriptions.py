"""A topic is confirmed at Amazon's own address only, and by somebody who may."""

from uuid import UUID

import pytest
import respx
from people_here import People

from core.actors import SYSTEM
from core.db import reading, unit_of_work
from core.errors import Conflict, Forbidden, NotFound, Unavailable
from core.ids import new_id
from core.journal import entries
from core.types import Ref
from ingest import sns, sources, subscriptions
from ingest.models import Source
from ingest.sns import SubscriptionDraft

TOPIC = "arn:aws:sns:eu-west-1:1:t"
CONFIRM = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=x"


def asked(source: Source, url: str = CONFIRM, topic: str = TOPIC) -> UUID:
    with unit_of_work() as uow:
        sns.keep(uow, sources.get(uow, source.id), new_id(), SubscriptionDraft(topic, url))
    with reading() as session:
        return next(row.id for row in subscriptions.of_source(session, source.id) if row.topic == topic)


@respx.mock
def test_a_confirmed_topic_may_send_and_the_journal_says_who_confirmed_it(sender, people: People):
    source = sender("cloud", "aws_sns").source
    wish = asked(source)
    visited = respx.get("https://sns.eu-west-1.amazonaws.com/").respond(200, text="<ok/>")
    assert subscriptions.confirm(people.ana, wish) == TOPIC
    with unit_of_work() as uow:
        subscriptions.confirmed(uow, people.ana, wish)
    assert visited.call_count == 1
    with reading() as session:
        assert sources.get(session, source.id).config["topics"] == [TOPIC]
        (told,) = entries(session, ref=Ref("source", str(source.id)), verbs=["source.subscription_confirmed"])
    assert (told.actor_name, told.body["topic"]) == ("Ana", TOPIC)


@respx.mock
@pytest.mark.parametrize(
    "url",
    [
        "http://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=x",
        "https://169.254.169.254/?Action=ConfirmSubscription",
        "https://sns.eu-west-1.amazonaws.com.evil.example/?Action=ConfirmSubscription",
        "https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe&Token=x",
    ],
)
def test_no_other_address_is_visited(sender, people: People, url: str):
    wish = asked(sender("cloud", "aws_sns").source, url)
    with pytest.raises(Conflict, match="not visited"):
        subscriptions.confirm(people.ana, wish)
    assert respx.calls.call_count == 0


@respx.mock
def test_what_amazon_refuses_is_not_confirmed(sender, people: People):
    source = sender("cloud", "aws_sns").source
    wish = asked(source)
    respx.get("https://sns.eu-west-1.amazonaws.com/").respond(403)
    with pytest.raises(Unavailable, match="ask the topic to send its request again"):
        subscriptions.confirm(people.ana, wish)
    with pytest.raises(Forbidden):
        subscriptions.confirm(people.rita, wish)
    with pytest.raises(NotFound):
        subscriptions.confirm(SYSTEM, new_id())
    with reading() as session:
        assert [row.confirmed_at for row in subscriptions.of_source(session, source.id)] == [None]
