"""The mapping language: what it can say, what it refuses to say, and that no body breaks it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors import registry
from connectors.contract import AlertDraft, Connector, Reading, Unreadable
from connectors.located import Document, parse
from connectors.mapping import check_mapping, compile_alerts, read
from core.types import Severity

BASE = """
title: name
severity: {from: level, bands: {8: critical, 5: high, 0: low}}
fingerprint: [name, host]
"""


def reading(
    mapping: str, body: Any, headers: dict[str, str] | None = None, config: dict[str, Any] | None = None
) -> Reading:
    document = parse(mapping, "test.yaml")
    compiled = compile_alerts(document.top, "Test")
    assert document.problems == []
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return compiled.read(raw, "application/json", headers or {}, config or {})


def one(mapping: str, body: Any, **more: Any) -> AlertDraft:
    drafts = reading(mapping, body, **more).drafts
    assert len(drafts) == 1
    return drafts[0]


@pytest.mark.parametrize(
    ("pick", "event", "value"),
    [
        ("a.b", {"a": {"b": "x"}}, "x"),
        ("a.b", {"a.b": "x"}, "x"),
        ("a.b.c", {"a": {"b.c": "x"}}, "x"),
        ("a[1]", {"a": ["x", "y"]}, "y"),
        ("a[].b", {"a": [{"b": "x"}, {"b": "y"}, {}]}, "x,y"),
        ('a["b c"].d', {"a": {"b c": {"d": "x"}}}, "x"),
        ("[missing, a]", {"a": "x"}, "x"),
        ("{from: a, match: 'id=(\\d+)'}", {"a": "http://h/?id=42&x"}, "42"),
        ("{from: a, json: b.c}", {"a": '{"b": {"c": 7}}'}, "7"),
        ("{from: a, json: b.c}", {"a": "{broken"}, None),
        ("{from: a, split: ';'}", {"a": "y; x"}, "x,y"),
        ("{from: a, values: {bad: worse}}", {"a": "BAD"}, "worse"),
        ("{from: a, values: {bad: worse}}", {"a": ["good", "bad"]}, "worse"),
        ("{from: a, else: nothing}", {}, "nothing"),
        ("{from: a, else: [b]}", {"b": "x"}, "x"),
        ("{join: [a, b], with: '-'}", {"a": 1, "b": 2}, "1-2"),
        ("{join: [a, b], with: '-'}", {"a": 1}, None),
        ("{const: x, when: {from: a, equals: 1}}", {"a": 1}, "x"),
        ("{const: x, when: {from: a, equals: 1}}", {"a": 2}, None),
        ("{const: x, when: [{from: a, starts: t}, {not: {from: a, contains: z}}]}", {"a": "TOP"}, "x"),
        ("{const: x, when: {any: [{from: a, exists: false}, {from: a, matches: '^q'}]}}", {"a": "q"}, "x"),
        ("'@headers.x-kind'", {}, "k"),
        ("'@config.site'", {}, "madrid"),
        ("'@timestamp'", {"@timestamp": "t"}, "t"),
        ("a", {"a": True}, "true"),
        ("a", {"a": 9.0}, "9"),
        ("a", {"a": 2**70}, str(2**70)),
        ("a", {"a": "nul\x00and"}, "nul\ufffdand"),
        ("a", {"a": {"not": "text"}}, '{"not": "text"}'),
    ],
)
def test_picking(pick: str, event: dict[str, Any], value: str | None) -> None:
    mapping = f"{BASE}\nlabels:\n  picked: {pick}"
    draft = one(mapping, {"name": "n", **event}, headers={"X-Kind": "k"}, config={"site": "madrid"})
    assert draft.labels.get("picked") == value


@pytest.mark.parametrize(
    ("level", "severity"),
    [
        (9, "critical"),
        ("8", "critical"),
        (5.5, "high"),
        (0, "low"),
        (-1, "unknown"),
        ("severe", "unknown"),
        (None, "unknown"),
        ([], "unknown"),
    ],
)
def test_what_is_not_known_is_never_called_info(level: Any, severity: str) -> None:
    draft = one(BASE, {"name": "n", "level": level})
    assert draft.severity is Severity(severity)
    assert draft.severity_raw == (str(level) if level not in (None, []) else None)


def test_wrappers_come_off_and_the_body_stays_reachable() -> None:
    mapping = BASE + "each: [Records, Message, alerts]\ncorrelation: ^.group\n"
    inner = {"group": "g", "alerts": [{"name": "a"}, {"name": "b"}]}
    assert [
        draft.title for draft in reading(mapping, {"Records": [{"Message": json.dumps(inner)}]}).drafts
    ] == ["a", "b"]
    assert [draft.correlation for draft in reading(mapping, inner).drafts] == ["g", "g"]
    assert len(reading(mapping, [inner, inner]).drafts) == 4


def test_lines_behind_a_syslog_header_and_bad_lines_between_good_ones() -> None:
    body = b'<14>Oct 27 09:00:00 host app[1]: {"name": "a"}\n\n{"name": "b"}\nnot json\n[1]\n{"name": "c"'
    result = reading(BASE, body)
    assert [draft.title for draft in result.drafts] == ["a", "b"]
    assert len(result.problems) == 3
    assert result.problems[0].startswith("Line 4 is not JSON")


def test_events_that_are_no_alerts_are_counted_and_foreign_ones_are_problems() -> None:
    mapping = BASE + "when: {from: name, exists: true}\nignore: {from: kind, equals: stats}\n"
    result = reading(mapping, [{"name": "a"}, {"kind": "stats"}, {"foreign": 1}])
    assert (len(result.drafts), result.ignored) == (1, 1)
    assert result.problems == ["Event 3 does not look like an alert of Test."]
    with pytest.raises(Unreadable, match="does not look like an alert of Test"):
        reading(mapping, {"foreign": 1})


def test_techniques_are_checked_and_vendor_ids_left_out() -> None:
    mapping = BASE + "techniques: [a, b]\n"
    draft = one(
        mapping,
        {"name": "n", "a": ["CST0007", "T1059.001", "Regsvr32 (T1218.010)"], "b": "T1059.0012 XT1234 T1566"},
    )
    assert draft.techniques == ("T1059.001", "T1218.010", "T1566")


def test_a_fingerprint_field_that_is_missing_stays_visible() -> None:
    assert one(BASE, {"name": "n"}).fingerprint == (("name", "n"), ("host", None))
    labels = one(BASE.replace("[name, host]", "{alert: labels}"), {"name": "n", "labels": {"b": 1, "a": 2}})
    assert labels.fingerprint == (("alert", '{"a": 2, "b": 1}'),)


def test_variants_are_tried_in_order_over_the_common_part() -> None:
    mapping = """
severity: high
category: {const: policy}
variants:
  - {when: {from: a, exists: true}, title: a, fingerprint: [a]}
  - {title: b, fingerprint: [b], category: {const: secret}}
"""
    first, second = reading(mapping, [{"a": "x"}, {"b": "y"}]).drafts
    assert (first.title, first.category, second.title, second.category) == ("x", "policy", "y", "secret")


@pytest.mark.parametrize(
    ("mapping", "sentence"),
    [
        ("titel: x", 'm.yaml:1: titel: unknown name; did you mean "title"?'),
        ("title: x", 'm.yaml:1: "severity" is missing'),
        (BASE + "occurred_at: 'a[b'", 'm.yaml:5: occurred_at: "a[b" is not a path'),
        (BASE + "entities: [{type: hots, from: a}]", '"hots" is not one of'),
        (BASE + "entities: [{type: host}]", '"from" is missing'),
        (BASE + "url: {form: a}", 'did you mean "from"?'),
        (BASE + "url: {from: a, const: b}", "needs exactly one of from, const and join"),
        (BASE + "url: {from: a, match: '(a+)+$'}", "a repeat inside a repeat"),
        (BASE + "url: {from: a, match: '(a)\\1'}", "a backreference"),
        (BASE + "url: {from: a, match: '('}", "is not a regular expression"),
        (BASE + "when: {from: a}", "needs from and exactly one test"),
        (BASE.replace("critical", "fatal"), '"fatal" is not one of'),
        (BASE.replace("8: ", "eight: "), '"eight" is not a number'),
        ("title: [a", "m.yaml:1:"),
        ("title: a\ntitle: b", "stands here twice"),
        ("- a", "must be a mapping, not a list"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(mapping: str, sentence: str) -> None:
    document = parse(mapping, "m.yaml")
    if not document.problems:
        compile_alerts(document.top, "Test")
    assert any(sentence in problem for problem in document.problems), document.problems


def test_an_operators_mapping_is_checked_in_the_same_words() -> None:
    assert check_mapping({"title": "a", "severity": "high", "fingerprint": ["a"]})[0] == []
    problems, _ = check_mapping(
        {"title": "a", "severity": {"from": "b", "bands": {"x": "high"}}, "fingerprint": ["a"]}
    )
    assert problems == ['mapping: severity.bands.x: "x" is not a number: bands are lowest number: severity']
    assert check_mapping({})[0] != []
    with pytest.raises(Unreadable, match="This source's mapping is wrong"):
        read(registry.get("generic_json"), b"{}", "application/json", {}, {"mapping": {"title": 3}})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"<xml/>",
        b"\xff\xfe\x00",
        b"{",
        b'{"a":' * 200_000,
        b"[" * 200_000,
        b"null",
        b"3",
        b"[]",
        b"[[[[]]]]",
    ],
)
def test_what_cannot_be_read_says_why(body: bytes) -> None:
    for connector in registry.sources():
        said = ""
        try:
            drafts = read(connector, body, "application/json", {}, {}).drafts
        except Unreadable as error:
            drafts, said = [], str(error)
        assert drafts == []
        assert said == "" or said.endswith((".", "'", "…"))


def test_a_deeply_nested_value_inside_an_alert_does_not_matter() -> None:
    body = b'{"name": "n", "deep": ' + b"[" * 5_000 + b"]" * 5_000 + b"}"
    said = ""
    try:
        title = one(BASE, body).title
    except Unreadable as error:
        title, said = "n", str(error)
    assert title == "n"
    assert said == "" or "deep" in said


def test_invalid_utf8_and_lone_surrogates_are_replaced() -> None:
    assert one(BASE, b'{"name": "caf\xe9 \\ud800"}').title == "caf\ufffd \ufffd"


def test_the_size_of_what_is_kept_is_bounded() -> None:
    mapping = (
        BASE + "labels_from: [labels]\ntags: tags\nentities: [{type: host, from: 'hosts[]', role: target}]\n"
    )
    body = {
        "name": "x" * 10_000,
        "labels": {f"k{n}": "v" * 5_000 for n in range(500)},
        "tags": [f"t{n}" for n in range(500)],
        "hosts": [f"h{n}" for n in range(2_000)],
    }
    draft = one(mapping, body)
    assert len(draft.title) == 500
    assert len(draft.labels) == 64
    assert max(len(value) for value in draft.labels.values()) == 1_024
    assert len(draft.tags) == 50
    assert len(draft.entities) <= 200


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NAMES = ("rule", "alert", "alerts", "event", "data", "events", "payload", "labels", "severity", "eventType", "event_type", "Message", "detail", "value",
         "title", "name", "status", "composite_id", "type", "result", "sid", "event_action", "id", "resources", "target", "evidence")  # fmt: skip
SHAPED = st.recursive(
    JSON,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=15,
)


def whatever(connector: Connector, body: bytes) -> None:
    try:
        result = read(connector, body, "application/json", {"X-GitHub-Event": "code_scanning_alert"}, {})
    except Unreadable:
        return
    for draft in result.drafts:
        assert draft.title
        assert "\x00" not in repr(draft.labels)
        json.dumps(
            [draft.title, draft.labels, list(draft.tags), [item.value for item in draft.entities]],
            ensure_ascii=False,
        ).encode()


@given(SHAPED)
@settings(max_examples=150)
def test_no_json_breaks_any_connector(value: Any) -> None:
    body = json.dumps(value).encode()
    for connector in registry.sources():
        whatever(connector, body)


@given(
    st.binary(max_size=400)
    | st.text(max_size=300).map(lambda text: b"CEF:0|a|b|c|d|e|5|" + text.encode("utf-8", "surrogatepass"))
)
@settings(max_examples=150)
def test_no_bytes_break_any_connector(body: bytes) -> None:
    for connector in registry.sources():
        whatever(connector, body)


def test_a_document_without_lines_names_only_the_place() -> None:
    document = Document("mapping", {"title": 1})
    document.top["title"].text()
    assert document.problems == ["mapping: title: must be text, not a number"]


@pytest.mark.parametrize(("product", "limit"), [("alertmanager", "max_alerts"), ("grafana", "Max Alerts")])
def test_what_a_sender_left_out_of_a_group_is_an_alert_beside_the_group(product: str, limit: str) -> None:
    connector = registry.get(product)
    labels = {"alertname": "Down", "severity": "critical", "instance": "a:1"}
    group = {
        "version": "4", "status": "firing", "groupKey": '{}:{job="x"}', "receiver": "tocsin",
        "commonLabels": {"severity": "critical"}, "truncatedAlerts": 0,
        "alerts": [{"status": "firing", "labels": labels, "annotations": {}, "fingerprint": "f1"}],
    }  # fmt: skip

    def drafts(**changed: object) -> list[AlertDraft]:
        body = json.dumps({**group, **changed}).encode()
        return read(connector, body, "application/json", {}, {}).drafts

    for none in (0, None, "", False):
        assert [draft.title for draft in drafts(truncatedAlerts=none)] == ["Down"]
    told, gap = drafts(truncatedAlerts=112)
    assert "left out 112 alerts of a group" in gap.title
    assert limit in (gap.description or "")
    assert (gap.severity, gap.status, gap.category) == ("critical", "firing", "availability")
    assert gap.correlation == told.correlation == group["groupKey"]  # so it stands in the group's incident
    assert gap.fingerprint != told.fingerprint
    assert gap.fingerprint == drafts(truncatedAlerts=3)[1].fingerprint  # the same gap again, only counted
    assert drafts(truncatedAlerts=3, status="resolved")[1].severity == "medium"
    other = drafts(truncatedAlerts=3, groupKey="another")[1]
    assert other.fingerprint != gap.fingerprint


def test_an_alert_of_the_whole_body_says_when_it_is_meant() -> None:
    document = parse(BASE + "whole: {title: name, severity: low, fingerprint: [name]}", "test.yaml")
    compile_alerts(document.top, "Test")
    assert any("when" in problem for problem in document.problems)
