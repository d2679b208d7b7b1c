"""The block list is fetched as plain text, refuses what would hurt, and is never empty by accident."""

from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy.exc import OperationalError

from connectors import blocklist, calls
from connectors.calls import CallContext
from core.actors import SYSTEM, Actor, ActorKind
from core.db import reading, unit_of_work
from core.errors import Conflict, Invalid, NotFound, Unavailable
from core.types import Ref

CTX = CallContext(Actor(ActorKind.playbook, "run-1", "Web attack"), Ref("incident", str(uuid4())))


def new_feed(kind: str, name: str = "") -> str:
    with unit_of_work() as uow:
        _, url = blocklist.create_feed(uow, SYSTEM, name=name or kind, kind=kind)
    assert url.startswith("http://tocsin.test/feeds/")
    return url.rpartition("/")[2].removesuffix(".txt")


def ask(action, inputs, ctx=CTX, **kwargs):
    with unit_of_work() as uow:
        return calls.request(uow, ctx, action, inputs, key=uuid4().hex, **kwargs)


def test_without_a_feed_nobody_is_told_that_something_is_blocked(database):
    assert ask("network.block_ip", {"ip": "203.0.113.9"}).state == "unbound"
    new_feed("ip")
    assert ask("network.block_ip", {"ip": "203.0.113.9"}).state == "intended"


def test_each_kind_has_its_own_list_sorted_and_plain(database, drain, clock):
    ips, domains, urls = new_feed("ip"), new_feed("domain"), new_feed("url")
    for value in ("203.0.113.9", "198.51.100.7", "203.0.113.9", "2001:db8::5"):
        ask("network.block_ip", {"ip": value})
    ask("network.block_domain", {"domain": "EVIL.example"})
    ask("network.block_url", {"url": "https://evil.example/a"})
    drain("connectors.calls")
    clock.advance(seconds=1)
    assert blocklist.serve(ips, "fw").text == "198.51.100.7\n2001:db8::5\n203.0.113.9\n"
    assert blocklist.serve(domains, "dns").text == "evil.example\n"
    assert blocklist.serve(urls, "proxy").text == "https://evil.example/a\n"
    with reading() as session:
        seen = {feed.name: feed.fetched_by for feed in blocklist.feeds(session)}
    assert seen == {"ip": "fw", "domain": "dns", "url": "proxy"}


def test_the_list_tells_when_it_changed(database, drain, clock):
    token = new_feed("ip")
    empty = blocklist.serve(token, "fw")
    clock.advance(hours=1)
    ask("network.block_ip", {"ip": "203.0.113.9"}, undo_after=timedelta(minutes=30))
    drain("connectors.calls")
    full = blocklist.serve(token, "fw")
    assert full.etag != empty.etag
    assert full.last_modified == clock.now
    clock.advance(minutes=20)
    assert blocklist.serve(token, "fw") == full
    clock.advance(minutes=20)
    ended = blocklist.serve(token, "fw")  # the worker has not run: the entry ends by itself
    assert (ended.text, ended.etag) == ("", empty.etag)
    assert ended.last_modified == clock.now - timedelta(minutes=10)


def test_unblocking_takes_a_value_off(database, drain):
    token = new_feed("ip")
    ask("network.block_ip", {"ip": "203.0.113.9"})
    drain("connectors.calls")
    ask("network.unblock_ip", {"ip": "203.0.113.9"})
    drain("connectors.calls")
    assert blocklist.serve(token, "fw").text == ""


@pytest.mark.parametrize("value", ["10.0.0.1", "8.8.8.8", "104.16.0.1", "203.0.113.0/24", "0.0.0.0/0"])
def test_what_would_hurt_is_refused(sqlite_database, value):
    new_feed("ip")
    assert ask("network.block_ip", {"ip": value}).state == "refused"


def test_a_network_is_blocked_with_approval(sqlite_database, drain):
    token = new_feed("ip")
    approved = CallContext(CTX.actor, CTX.subject, approved_by=("ann",))
    ask("network.block_ip", {"ip": "203.0.113.0/24"}, approved)
    drain("connectors.calls")
    assert blocklist.serve(token, "fw").text == "203.0.113.0/24\n"


@pytest.mark.parametrize("value", ["203.0.113.9\n0.0.0.0/0", "203.0.113.9,8.8.8.8", "", "evil"])
def test_a_value_cannot_smuggle_another_line(sqlite_database, value):
    new_feed("ip")
    with pytest.raises(Invalid):
        ask("network.block_ip", {"ip": value})


def test_a_full_list_refuses_more(sqlite_database, drain, monkeypatch):
    monkeypatch.setattr(blocklist, "MOST_ENTRIES", 2)
    token = new_feed("ip")
    asked = [ask("network.block_ip", {"ip": f"203.0.113.{n}"}) for n in range(1, 4)]
    drain("connectors.calls")
    with reading() as session:
        came = [calls.get(session, one.id) for one in asked]
    (refused,) = [one for one in came if one.state == "failed"]  # they are asked for side by side
    assert "the most it may" in refused.note
    listed = blocklist.serve(token, "fw").text.split()
    assert sorted(listed) == sorted(one.inputs["ip"] for one in came if one is not refused)


def test_when_it_cannot_be_made_the_last_good_list_is_served_and_never_an_empty_one(
    sqlite_database, drain, monkeypatch
):
    token, other = new_feed("ip"), new_feed("ip", "never fetched")
    ask("network.block_ip", {"ip": "203.0.113.9"})
    drain("connectors.calls")
    good = blocklist.serve(token, "fw")

    def broken(session, feed):
        raise OperationalError("SELECT", {}, ConnectionError("gone"))

    monkeypatch.setattr(blocklist, "render", broken)
    assert blocklist.serve(token, "fw") == good
    with pytest.raises(Unavailable):
        blocklist.serve(other, "fw")


def test_an_unknown_or_disabled_address_has_no_list(sqlite_database):
    token = new_feed("ip")
    with pytest.raises(NotFound):
        blocklist.serve("guess", "fw")
    with pytest.raises(Conflict):
        new_feed("ip")
    with reading() as session:
        (feed,) = blocklist.feeds(session)
    with unit_of_work() as uow:
        blocklist.disable_feed(uow, SYSTEM, feed.id)
    with pytest.raises(NotFound):
        blocklist.serve(token, "fw")
