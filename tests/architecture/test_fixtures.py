"""The fixtures that all other tests stand on do what they promise."""

import smtplib
from datetime import timedelta
from email.message import EmailMessage

import httpx
import redis
from directory_server import Directory
from held_time import HeldClock
from mail_server import MailServer
from people_here import People
from real_servers import Redis
from sqlalchemy import text
from tables_ready import Database
from vendor_server import Answer, Vendor

from core import clock as core_clock
from core.db import is_postgres, reading, unit_of_work


def test_each_test_has_a_database_of_its_own(database: Database) -> None:
    with unit_of_work() as uow:
        uow.execute(text("CREATE TABLE only_mine (a integer)"))
    with reading() as session:
        assert is_postgres(session) == (database.kind == "postgresql")
        assert session.scalar(text("SELECT count(*) FROM only_mine")) == 0


def test_and_the_next_one_starts_clean(database: Database) -> None:
    with unit_of_work() as uow:
        uow.execute(text("CREATE TABLE only_mine (a integer)"))


def test_the_clock_stands_still_until_moved(clock: HeldClock) -> None:
    before = core_clock.now()
    assert core_clock.now() == before
    clock.advance(minutes=5)
    assert core_clock.now() - before == timedelta(minutes=5)


def test_mail_arrives_over_smtp(smtp_server: MailServer) -> None:
    message = EmailMessage()
    message["Subject"] = "hello"
    message.set_content("text")
    with smtplib.SMTP("127.0.0.1", smtp_server.port) as client:
        client.send_message(message, "a@example.org", ["b@example.org"])
    assert [m["X-Envelope-To"] for m in smtp_server.wait_for(1)] == ["b@example.org"]


def test_the_directory_lets_its_people_in(ldap_server: Directory) -> None:
    assert ldap_server.accepts("mortiz")
    assert ldap_server.entry("mortiz")["userAccountControl"] == ["512"]


def test_redis_can_die_and_come_back(redis_server: Redis) -> None:
    client = redis.Redis.from_url(redis_server.url)
    client.set("a", "b")
    redis_server.kill()
    redis_server.start()
    assert client.get("a") is None
    client.close()


def test_the_vendor_keeps_a_ledger(vendor: Vendor) -> None:
    vendor.answer("POST", "/users", Answer(201, {"id": 7}))
    assert httpx.post(f"{vendor.url}/users", json={"name": "x"}).json() == {"id": 7}
    assert [(call.method, call.path, call.json) for call in vendor.calls] == [
        ("POST", "/users", {"name": "x"})
    ]


def test_people_hold_the_permissions_of_their_roles(database: Database, people: People) -> None:
    assert people.admin.may("user.manage")
    assert not people.responder.may("user.manage")
    assert people.auditor.may("journal.read")
