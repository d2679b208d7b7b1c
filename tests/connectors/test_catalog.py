"""The catalogue tests itself: every entry loads and says what it must."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from connectors import registry
from connectors.contract import ActionContext, Connector, Effect
from connectors.declared import input_schema
from connectors.registry import CATALOG
from core.errors import NotFound
from core.net import auth

ALL = list(registry.all().values())
ACTIONS = list(registry.actions().values())

PROMISED_SOURCES = {
    "suricata", "wazuh", "alertmanager", "grafana", "falco", "aws_guardduty", "aws_sns", "splunk", "crowdstrike", "defender_xdr",
    "github", "gitleaks", "okta", "zabbix", "cef", "pagerduty_v2", "generic_json",
}  # fmt: skip
BUILT_IN = {"http", "blocklist"}  # nobody else's product: no rights to ask for
PROMISED_VERBS = {
    "identity.disable_user", "identity.enable_user", "identity.revoke_sessions", "identity.get_user", "firewall.block_ip",
    "identity.list_sign_ins", "identity.list_factors", "identity.remove_factor", "identity.list_grants", "identity.revoke_grant",
    "mail.search", "mail.purge", "mail.restore", "mail.list_rules", "mail.remove_rule", "siem.search",
    "edr.get_host", "edr.hunt", "edr.isolate_host", "edr.release_host", "edr.block_hash", "edr.unblock_hash",
    "intel.ip", "intel.domain", "intel.url", "intel.file", "chat.post", "http.request",
}  # fmt: skip


def test_every_file_is_a_connector_of_its_name() -> None:
    files = {
        path.stem for path in CATALOG.iterdir() if path.suffix in (".yaml", ".py") and path.stem != "__init__"
    }
    assert files == set(registry.all())
    assert all(name == connector.name for name, connector in registry.all().items())


def test_what_was_promised_is_there() -> None:
    assert {connector.name for connector in registry.sources()} >= PROMISED_SOURCES
    assert set(registry.verbs()) >= PROMISED_VERBS


@pytest.mark.parametrize("connector", ALL, ids=lambda connector: connector.name)
def test_every_connector_says_what_it_is(connector: Connector) -> None:
    assert re.match(r"https://[a-z0-9.-]+\.[a-z]+/", connector.docs)
    assert connector.title
    assert connector.title != connector.name
    assert connector.alerts is not None or connector.actions
    if connector.alerts is not None:
        assert connector.proofs
        assert connector.setup or connector.writes, "a source says how the product is pointed here"
        assert not connector.setup or "{{ url }}" in connector.setup
    for field in connector.settings:
        assert field.description, f"the setting {field.name} needs a description"


@pytest.mark.parametrize("connector", [c for c in ALL if c.actions], ids=lambda connector: connector.name)
def test_what_acts_can_be_checked_and_is_scoped(connector: Connector) -> None:
    if connector.alerts is None and connector.name not in BUILT_IN:
        assert connector.scopes, "says the least rights its credentials need"
    assert connector.health is not None or connector.name in BUILT_IN
    used = repr(connector.auth.options) + repr([(a.request, a.probe) for a in connector.actions.values()])
    known = {field.name for field in (*connector.settings, *connector.secrets)}
    for _, name in re.findall(r"(settings|secrets)\.([a-z_]+)", used):
        assert name in known, f"{name} is used but not asked for"
    assert connector.auth.kind in (*auth.kinds(), "none")


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.full_name)
def test_every_action_is_typed_and_can_be_taken_back_or_says_why_not(action: object) -> None:
    found = registry.action(action.full_name)  # type: ignore[attr-defined]  # an Action
    assert found.title
    assert found.instructions, "a person must be able to do it by hand"
    schema = input_schema(found)
    assert all(field.description for field in found.inputs)
    assert set(schema["required"]) <= set(schema["properties"])
    known = {field.name for field in found.inputs}
    for name in re.findall(r"inputs\.([a-z_]+)", repr((found.request, found.instructions))):
        assert name in known, f"{name} is used but is no input"
    if found.effect.rank >= Effect.disruptive.rank:
        assert found.undo or found.no_undo
        assert found.full_name.startswith("http.") or any(field.entity for field in found.inputs), (
            "guard rails need an entity"
        )


def test_disruptive_actions_are_safe_to_recover_after_a_crash_or_known_not_to_be() -> None:
    neither = [
        a.full_name
        for a in ACTIONS
        if a.effect.rank >= Effect.disruptive.rank and not a.idempotent and a.probe is None
    ]
    assert neither == ["http.request"], "after a crash these are parked as unknown for a person"


def test_a_name_that_is_not_there_gets_the_nearest() -> None:
    with pytest.raises(NotFound, match='did you mean "wazuh"'):
        registry.get("wazu")
    with pytest.raises(NotFound, match=r'did you mean "okta\.suspend_user"'):
        registry.action("okta.suspend_usr")


def test_samples_hold_no_real_addresses() -> None:
    """RFC 5737 and 3849 documentation ranges, private ranges and example names only."""
    address = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")
    good = re.compile(r"192\.0\.2\.|198\.51\.100\.|203\.0\.113\.|10\.|127\.|0\.0\.0\.0")
    folder = Path(registry.__file__).parent / "samples"
    for path in folder.rglob("*"):
        if path.is_file():
            found = [value for value in address.findall(path.read_text("utf-8")) if not good.match(value)]
            assert found == [], path


def test_a_context_carries_no_database() -> None:
    fields = set(ActionContext.__dataclass_fields__)
    assert fields >= {"settings", "secrets", "egress", "key", "send"}
    assert fields.isdisjoint({"uow", "session", "db"}), "what a product needs of the database comes as a port"
