"""Every alert sample yields what is said of it: ours always, the third-party ones where they are present."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from connectors import registry
from connectors.contract import AlertDraft, Reading, Sample
from connectors.entities import entity
from connectors.times import parse_time

SHARED = Path(os.environ.get("TOCSIN_SAMPLES", Path(__file__).parents[3] / "shared" / "samples"))

# INDEX.tsv's name of a product -> ours
PRODUCTS = {
    "suricata-eve": "suricata", "wazuh": "wazuh", "alertmanager": "alertmanager", "grafana-unified": "grafana",
    "grafana-legacy": "grafana", "falco": "falco", "aws-guardduty": "aws_guardduty", "aws-sns": "aws_sns", "splunk": "splunk",
    "crowdstrike": "crowdstrike", "microsoft-defender-xdr": "defender_xdr", "microsoft-defender-endpoint": "defender_xdr",
    "github-advanced-security": "github", "okta": "okta", "zabbix": "zabbix", "cef": "cef", "pagerduty": "pagerduty_v2",
}  # fmt: skip

# (sample, field): (what we say instead, why the row's own fact is wrong)
WRONG: dict[tuple[str, str], tuple[Any, str]] = {
    ("suricata-eve/alert-et-hunting.json", "external_id"): (
        None, "1:123456:10 is gid:sid:rev, the name of a rule; EVE alerts have no id of their own"),
    ("alertmanager/goalert-minimal.json", "title"): (
        "TestAlert", "the alert's own label; Alertmanager's commonLabels are by definition also on every alert, so this body was made up"),
    ("alertmanager/v3-firing-int-groupkey.json", "external_id"): (
        None, "5615590933959184469 is the groupKey, shared by every alert of the group: it is the draft's correlation"),
    ("aws-sns/cloudwatch-alarm.json", "external_id"): (
        "bucketbytesAlarm", "the MessageId names the SNS delivery (the same on a retry), not the alarm; the alarm's own name identifies it"),
    ("aws-sns/subscription-confirmation.json", "external_id"): (None, "a handshake, not an alert: nothing is drafted"),
    ("aws-sns/subscription-confirmation.json", "url"): (None, "a handshake, not an alert: nothing is drafted"),
    ("cef/paloalto-cef.cef", "title"): (
        "THREAT", "CEF's header is Version|Vendor|Product|Version|Class|Name|Severity: here the class is url and the name THREAT"),
    ("wazuh/shellshock-indexer-hit.json", "ip"): (None, "000.111.222.10 is no address: leading zeros are refused, never reinterpreted"),
    ("suricata-eve/not-alert-http.json", "ip"): (None, "an http event, not an alert: nothing is drafted"),
    ("suricata-eve/syslog-wrapped-tls.syslog", "ip"): (None, "a tls event, not an alert: nothing is drafted"),
    ("suricata-eve/syslog-wrapped-tls.syslog", "domain"): (None, "a tls event, not an alert: nothing is drafted"),
}  # fmt: skip

KINDS = {
    "ip": ("ipv4-addr", "ipv6-addr"), "sha256": ("file-hash",), "sha1": ("file-hash",), "md5": ("file-hash",), "hash": ("file-hash",),
    "host": ("host", "domain", "ipv4-addr"), "domain": ("domain", "host"), "user": ("user", "email"),
}  # fmt: skip


def has(draft: AlertDraft, kind: str, value: str) -> bool:
    """Whether a draft names this observable; repositories and cloud resources are labels, techniques have their own field."""
    if kind == "ttp":
        return value in draft.techniques
    if kind in ("repo", "resource"):
        return any(value.casefold() in text.casefold() for text in draft.labels.values())
    types = KINDS.get(kind, (kind,))
    wanted = {found.value for name in types if (found := entity(name, value))} | {value.casefold()}
    values = {found.value for found in draft.entities if found.type in types}
    if kind == "user" and any(found.endswith(f"\\{value.casefold()}") for found in values):
        return True  # DOMAIN\\user is more than the row asks for
    return bool(wanted & values) or (kind == "url" and value == draft.url)


def rows() -> Iterator[tuple[str, str, Path, dict[str, Any]]]:
    index = SHARED / "INDEX.tsv"
    if not index.exists():
        return
    for line in index.read_text("utf-8").splitlines()[1:]:
        path, source, *_, expected = line.split("\t")
        if source in PRODUCTS:
            yield path.removeprefix("alerts/"), PRODUCTS[source], SHARED / path, json.loads(expected)


def check(name: str, reading: Reading, expected: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """(field, expected, found, verdict) for every fact of a row: ok, WRONG, or the reason why the fact itself is wrong."""
    draft = reading.drafts[0] if reading.drafts else None
    result: list[tuple[str, str, str, str]] = []

    def judge(field: str, wanted: Any, found: Any, good: bool) -> None:
        exception = WRONG.get((name, field))
        if exception is not None and not good:
            instead, why = exception
            good = instead in (None, "arn") or instead == found
            result.append((field, str(wanted), str(found), f"row is wrong: {why}" if good else "WRONG"))
        else:
            result.append((field, str(wanted), str(found), "ok" if good else "WRONG"))

    for field in ("title", "external_id"):
        if field in expected:
            found = getattr(draft, field) if draft else None
            judge(field, expected[field], found, str(expected[field]) == found)
    for field, raw in (("severity", "severity_raw"), ("status", "status_raw")):
        if field in expected:
            found = getattr(draft, raw) if draft else None
            judge(field, expected[field], found, str(expected[field]).casefold() == str(found).casefold())
    for kind, values in expected.get("observables", {}).items():
        for value in values:
            judge(
                kind,
                value,
                sorted({e.value for e in draft.entities}) if draft else None,
                draft is not None and has(draft, kind, value),
            )
    return result


def test_third_party_samples_yield_what_their_index_says(capsys: pytest.CaptureFixture[str]) -> None:
    """Prints one line a fact. Without the samples beside the checkout, our own samples are what is tested (below)."""
    failures: list[str] = []
    lines: list[str] = []
    for name, product, path, expected in rows():
        reading = registry.get(product).alerts.read(path.read_bytes(), "application/json", {}, {})  # type: ignore[union-attr]  # sources have alerts
        for field, wanted, found, verdict in check(name, reading, expected):
            lines.append(f"{name:52.52} {field:12} {wanted:40.40} {found:40.40} {verdict}")
            if verdict == "WRONG":
                failures.append(lines[-1])
        if not expected.get("title") and "observables" not in expected:
            lines.append(
                f"{name:52.52} {'-':12} {'':40} {len(reading.drafts)} drafts, {reading.ignored} ignored"
            )
    with capsys.disabled():
        print("\n" + "\n".join(lines) if lines else "\nno third-party samples beside this checkout")
    assert failures == [], "\n".join(failures)


OURS = [(connector.name, sample) for connector in registry.sources() for sample in connector.samples]


@pytest.mark.parametrize(
    ("product", "sample"), OURS, ids=[f"{product}-{sample.name}" for product, sample in OURS]
)
def test_our_samples_yield_what_their_file_says(product: str, sample: Sample) -> None:
    connector = registry.get(product)
    assert connector.alerts is not None
    reading = connector.alerts.read(sample.body, sample.content_type, sample.headers, sample.config)
    expect = dict(sample.expect)
    assert reading.problems == []
    assert len(reading.drafts) == expect.pop("count", 1)
    assert reading.ignored == expect.pop("ignored", 0)
    if not reading.drafts:
        assert expect == {}
        return
    draft = reading.drafts[0]
    for kind, values in expect.pop("entities", {}).items():
        for value in values:
            assert has(draft, kind, value), f"{kind} {value} is not among {draft.entities}"
    for name, value in expect.pop("labels", {}).items():
        assert draft.labels.get(name) == value
    if "fingerprint" in expect:
        assert dict(draft.fingerprint) == expect.pop("fingerprint")
    if "techniques" in expect:
        assert list(draft.techniques) == expect.pop("techniques")
    if "occurred_at" in expect:
        assert draft.occurred_at == parse_time(expect.pop("occurred_at"))
    for field, value in expect.items():
        assert getattr(draft, field) == value, field


def test_every_source_has_a_sample_and_the_demo_has_its_four_stories() -> None:
    without = [connector.name for connector in registry.sources() if not connector.samples]
    assert without == []
    assert {sample.scenario for _, sample in OURS} >= {"malware", "login", "secret", "availability"}
