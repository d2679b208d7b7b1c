"""What a team says is its own is read line by line, kept once, and refused as a whole when a line cannot be meant."""

import ipaddress
from pathlib import Path

import pytest
from people_here import People

from connectors import entities, ours, rails
from connectors.guards import Protected, protection
from core import host
from core.auth import users
from core.db import reading, unit_of_work
from core.errors import Invalid
from core.settings import configure, settings


def test_lines_become_what_the_guards_understand() -> None:
    said = ours.read(
        {
            "networks": "198.51.100.0/24\n 2001:db8::/32, 198.51.100.7/24",
            "ways": "192.0.2.1",
            "server": "tocsin.example.org 192.0.2.2",
            "scanner": "scan-*",
            "domains": "*.Example.ORG example.org",
            "people": "ceo@example.org\nsvc-*",
        }
    )
    assert [(one.kind, one.value) for one in said] == [
        ("network", "198.51.100.0/24"), ("network", "2001:db8::/32"), ("network", "192.0.2.1/32"),
        ("host", "tocsin.example.org"), ("network", "192.0.2.2/32"), ("host", "scan-*"), ("domain", "example.org"),
        ("user", "ceo@example.org"), ("user", "svc-*"),
    ]  # fmt: skip
    rules = [Protected(one.kind, one.value, one.reason, one.own) for one in said]
    for kind, value in (
        ("ipv4-addr", "198.51.100.9"),
        ("host", "scan-7"),
        ("domain", "mail.example.org"),
        ("user", "svc-backup"),
    ):
        entity = entities.entity(kind, value)
        assert entity is not None
        assert protection(entity, rules), value


@pytest.mark.parametrize(
    ("field", "line"),
    [
        ("networks", "our office"), ("networks", "0.0.0.0/0"), ("server", "-x"), ("server", "<script>"), ("domains", "localhost"),
        ("domains", "exa mple"), ("people", "*"), ("people", "a@b@c"), ("scanner", "*"), ("networks", "10.0.0.0/8\n" * 501),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_meant_is_named(field: str, line: str) -> None:
    with pytest.raises(Invalid) as refused:
        ours.read({field: line, "people": "ceo@example.org" if field != "people" else line})
    assert refused.value.problems[0].path == field


def test_it_is_suggested_kept_once_and_then_no_longer_suggested(
    database: object, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    del database
    monkeypatch.setattr(host, "networks", lambda: [ipaddress.ip_network("198.51.100.0/24")])
    monkeypatch.setattr(host, "gateways", lambda: [ipaddress.ip_address("198.51.100.1")])
    monkeypatch.setattr(host, "resolvers", lambda: [ipaddress.ip_address("198.51.100.1")])
    monkeypatch.setattr(host, "addresses", lambda: [ipaddress.ip_address("198.51.100.7")])
    monkeypatch.setattr(host, "names", lambda: ["soc-1", "soc-1.corp.example"])
    monkeypatch.setattr(host, "domains", lambda: ["corp.example"])
    with unit_of_work() as uow:
        assert people.ana.user_id
        users.set_password(uow, people.ana, people.ana.user_id, "hashed")
    with reading() as session:
        guess = ours.suggested(session, "soc.example.org")
    assert guess == {
        "networks": ["198.51.100.0/24"], "ways": ["198.51.100.1"], "server": ["198.51.100.7", "soc-1", "soc.example.org"],
        "scanner": [], "domains": ["corp.example", "example.org"], "people": ["ana@example.org"],
    }  # fmt: skip
    said = ours.read({name: "\n".join(lines) for name, lines in guess.items()})
    for new in (len(said), 0):
        with unit_of_work() as uow:
            assert ours.protect(uow, people.mara, said) == new
    with reading() as session:
        assert len(rails.protected(session)) == len(said)
        assert not any(ours.suggested(session, "soc.example.org").values())


def test_an_address_of_this_machine_alone_is_not_suggested(sqlite_database: object, tmp_path: Path) -> None:
    del sqlite_database
    configure(settings().with_(data_dir=tmp_path))
    with reading() as session:
        assert "127.0.0.1" not in ours.suggested(session, "127.0.0.1")["server"]
