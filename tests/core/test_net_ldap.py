"""A real directory: bind, search, modify, and the ways it says no."""

import socket

import pytest
from directory_server import Directory as Slapd

from core.errors import Invalid
from core.net import Egress, LoginRefused, NetFailed, NetRefused
from core.net.errors import LdapRefused
from core.net.ldap import REPLACE, connect, escape, escape_name

HERE = Egress(allow=("127.0.0.1",))


def test_an_account_is_found_and_disabled(ldap_server: Slapd) -> None:
    with connect(
        ldap_server.url, user=ldap_server.admin_dn, password=ldap_server.password, egress=HERE
    ) as directory:
        found = directory.search(
            ldap_server.suffix, f"(sAMAccountName={escape('mortiz')})", ["cn", "userAccountControl"]
        )
        assert [(entry.dn, entry.first("CN"), entry.first("useraccountcontrol")) for entry in found] == [
            (ldap_server.dn("mortiz"), "Marta Ortiz", "512"),
        ]
        assert found[0].first("mail") is None
        directory.modify(found[0].dn, {"userAccountControl": [(REPLACE, ["514"])]})
    assert ldap_server.entry("mortiz")["userAccountControl"] == ["514"]
    assert ldap_server.entry("akim")["userAccountControl"] == ["512"]


def test_a_value_cannot_change_the_filter(ldap_server: Slapd) -> None:
    hostile = "*)(objectClass=*"
    with connect(
        ldap_server.url, user=ldap_server.admin_dn, password=ldap_server.password, egress=HERE
    ) as directory:
        assert directory.search(ldap_server.suffix, f"(uid={escape(hostile)})") == []
        assert len(directory.search(ldap_server.suffix, "(uid=*)")) == 3
        assert len(directory.search(ldap_server.suffix, "(uid=*)", limit=2)) == 2
    assert escape_name("a,b=c") == r"a\,b\=c"


def test_refusals_are_told_apart(ldap_server: Slapd) -> None:
    wrong = connect(ldap_server.url, user=ldap_server.dn("akim"), password="hunter2", egress=HERE)
    with pytest.raises(LoginRefused, match="refused the user name or password") as caught, wrong:
        pass
    assert "hunter2" not in str(caught.value)
    assert caught.value.before_send
    own = connect(ldap_server.url, user=ldap_server.dn("akim"), password="akim-password", egress=HERE)
    with own as directory, pytest.raises(LdapRefused, match="insufficientAccessRights"):
        directory.modify(ldap_server.dn("mortiz"), {"cn": [(REPLACE, ["x"])]})
    with connect(
        ldap_server.url, user=ldap_server.admin_dn, password=ldap_server.password, egress=HERE
    ) as directory:
        with pytest.raises(LdapRefused, match="noSuchObject"):
            directory.modify(ldap_server.dn("nobody"), {"cn": [(REPLACE, ["x"])]})
        with pytest.raises(NetFailed):
            directory.search(ldap_server.suffix, "(uid=")
    with pytest.raises((LdapRefused, NetFailed)), connect(ldap_server.url, starttls=True, egress=HERE):
        pass


def test_rules_and_urls() -> None:
    with pytest.raises(NetRefused), connect("ldap://127.0.0.1", egress=Egress(allow_private=True)):
        pass
    for url, user in (("http://x", ""), ("ldap://me:pw@x", ""), ("ldap://x", "me")):
        with pytest.raises(Invalid), connect(url, user=user, egress=HERE):
            pass
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        closed = connect(f"ldap://127.0.0.1:{held.getsockname()[1]}", egress=HERE, timeout=1)
        with pytest.raises(NetFailed) as caught, closed:
            pass
    assert not caught.value.sent
