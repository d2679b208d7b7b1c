"""The guard rails refuse what they must, and let through what they should."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import registry
from connectors.contract import Entity
from connectors.guards import (
    Asked,
    Protected,
    Rails,
    check_protected,
    judge,
    protection,
    read_inputs,
    without_query,
)
from core.errors import Invalid

BLOCK = registry.action("blocklist.block_ip")
SUSPEND = registry.action("okta.suspend_user")
LOOK_UP = registry.action("virustotal.ip_report")
URL_REPORT = registry.action("virustotal.url_report")
DOMAIN_REPORT = registry.action("virustotal.domain_report")
POST = registry.action("slack.post_message")
RAILS = Rails(
    protected=(
        Protected("network", "198.51.100.0/28", "our office", own=True),
        Protected("domain", "corp.example", "our own name", own=True),
        Protected("host", "dc*", "a domain controller"),
        Protected("user", "*admin*", "an administrator"),
    )
)
IP = (Entity("ipv4-addr", "203.0.113.9"),)


def verdict(action, entities, rails=RAILS, **asked):
    return judge(action, entities, Asked(**asked), rails)


@pytest.mark.parametrize(
    ("kind", "value", "why"),
    [
        ("ipv4-addr", "198.51.100.3", "our office"),
        ("ipv4-addr", "198.51.100.0/24", "our office"),
        ("ipv4-addr", "10.1.2.3", "private"),
        ("ipv4-addr", "192.168.0.0/16", "private"),
        ("ipv4-addr", "0.0.0.0/0", "our office"),
        ("ipv6-addr", "fe80::1", "private"),
        ("ipv4-addr", "8.8.8.8", "resolver"),
        ("ipv4-addr", "104.16.1.1", "Cloudflare"),
        ("ipv4-addr", "52.97.1.1", "Microsoft 365"),
        ("ipv6-addr", "2606:4700::1", "Cloudflare"),
        ("domain", "google.com", "everybody"),
        ("domain", "mail.corp.example", "our own name"),
        ("url", "https://www.corp.example/x", "our own name"),
        ("url", "http://10.0.0.1/x", "private"),
        ("host", "DC01", "domain controller"),
        ("host", "dc-2.corp.example", "domain controller"),
        ("user", "CORP\\Administrator", "an administrator"),
        ("email", "sysadmin@elsewhere.example", "an administrator"),
    ],
)
def test_what_is_protected_is_never_touched(kind, value, why):
    found = protection(Entity(kind, value), RAILS.protected)
    assert found is not None
    assert why in found


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("ipv4-addr", "203.0.113.9"), ("ipv6-addr", "2001:db8::1"), ("domain", "evil.example"),
        ("domain", "notcorp.example"), ("domain", "evil.blogspot.com"), ("url", "https://github.com/evil/x"),
        ("host", "laptop-dc"), ("user", "jo"), ("host", "laptop.corp.example"), ("email", "jo@corp.example"),
    ],
)  # fmt: skip
def test_what_is_not_protected_may_be_touched(kind, value):
    assert protection(Entity(kind, value), RAILS.protected) is None


def test_protection_holds_whoever_asks():
    found = verdict(
        BLOCK, [Entity("ipv4-addr", "8.8.8.8")], by_person=True, approved_by=("ann",), dry_run=True
    )
    assert (found.state, found.rail) == ("refused", "protected")
    assert "8.8.8[.]8 is protected" in found.why


def test_a_whole_network_needs_a_person():
    wide = (Entity("ipv4-addr", "203.0.113.0/24"),)
    assert verdict(BLOCK, wide).rail == "size"
    assert verdict(BLOCK, (Entity("ipv6-addr", "2001:db8::/48"),)).rail == "size"
    assert verdict(BLOCK, wide, approved_by=("ann",)).state == "go"
    assert verdict(BLOCK, (Entity("ipv4-addr", "203.0.113.0/28"),)).state == "go"


def test_a_low_trust_source_never_disrupts_alone():
    assert verdict(BLOCK, IP, trust="low").rail == "trust"
    assert verdict(BLOCK, IP, trust="low", approved_by=("ann",)).state == "go"
    assert verdict(BLOCK, IP, trust="normal").state == "go"
    assert verdict(POST, (), trust="low").state == "go"
    assert verdict(LOOK_UP, IP, trust="low").state == "go"


def test_a_budget_stops_automation_and_not_people():
    used_up = replace(RAILS, budget=30, used=30)
    assert verdict(BLOCK, IP, used_up).rail == "budget"
    assert verdict(BLOCK, IP, used_up, by_person=True).state == "go"
    assert verdict(BLOCK, IP, replace(RAILS, budget=30, used=29)).state == "go"
    assert verdict(POST, (), used_up).rail == "budget"
    assert verdict(POST, (), used_up, by_person=True).state == "go"


def test_hold_all_holds_what_changes_things():
    held = replace(RAILS, hold_all=True, hold_reason="we are being used")
    assert verdict(LOOK_UP, IP, held).state == "go"
    assert verdict(BLOCK, IP, held).state == "held"
    assert "we are being used" in verdict(BLOCK, IP, held).why
    assert verdict(POST, (), held, by_person=True).state == "held"
    assert verdict(SUSPEND, (Entity("user", "jo"),), held, releasing=True).state == "go"
    assert verdict(BLOCK, IP, held, dry_run=True).state == "dry_run"


def test_look_ups_outside_leak_nothing_of_ours():
    assert verdict(LOOK_UP, (Entity("ipv4-addr", "10.0.0.1"),), outside=True).rail == "own"
    assert verdict(DOMAIN_REPORT, (Entity("domain", "vpn.corp.example"),), outside=True).rail == "own"
    assert verdict(LOOK_UP, IP, outside=True, tlp="red").rail == "tlp"
    assert verdict(LOOK_UP, IP, outside=True, pap="red").rail == "pap"
    assert verdict(LOOK_UP, IP, outside=True).state == "go"
    assert verdict(DOMAIN_REPORT, (Entity("domain", "google.com"),), outside=True).state == "go"
    named = read_inputs(URL_REPORT, {"url": "https://u:p@evil.example/a?token=victim#x"}, outside=True)
    assert named.inputs["url"] == "https://evil.example/a"


@given(st.text())
def test_taking_a_query_off_never_fails(text):
    assert "?" not in without_query(text)


def test_inputs_are_checked_with_every_problem_told():
    with pytest.raises(Invalid) as told:
        read_inputs(BLOCK, {"ip": "300.1.1.1", "extra": 1})
    assert [problem.path for problem in told.value.problems] == ["extra", "ip"]
    with pytest.raises(Invalid, match="ip is missing"):
        read_inputs(BLOCK, {})
    with pytest.raises(Invalid):
        read_inputs(BLOCK, {"ip": "203.0.113.9\n203.0.113.10"})
    assert read_inputs(BLOCK, {"ip": " 203.0.113.9 "}).inputs == {"ip": "203.0.113.9"}
    assert read_inputs(BLOCK, {"ip": "203.0.113.0/28"}).entities == (Entity("ipv4-addr", "203.0.113.0/28"),)
    assert read_inputs(POST, {"channel": "C1", "text": 5}).inputs == {
        "channel": "C1",
        "text": "5",
        "thread": None,
    }


def test_what_protects_everything_is_refused():
    assert check_protected("network", "10.0.0.1/8") == "10.0.0.0/8"
    assert check_protected("domain", "*.Corp.Example") == "corp.example"
    for kind, value in (("network", "nonsense"), ("network", "0.0.0.0/0"), ("user", "*"), ("planet", "earth")):
        with pytest.raises(Invalid):
            check_protected(kind, value)
