"""A declaration is followed to the letter: quoting, absent inputs, conditions, pages, waiting until done."""

import json

import httpx
import pytest
import respx

from connectors import execute
from connectors.contract import ActionFailed
from connectors.declared import from_text
from connectors.products import Product
from core.settings import Settings, configure

TOY = """
connector: toy
name: Toy
kind: generic
docs: https://toy.example/docs
settings: {base_url: {type: url, required: true}, region: {default: eu}}
secrets: {token: {required: true}}
auth: {kind: bearer, token: "{{ secrets.token }}"}
health: {request: {method: GET, path: /ping}, ok: body.pong == true}
actions:
  tag:
    title: Tag
    effect: write
    idempotent: true
    input: {name: {required: true}, note: {}, loud: {type: boolean, default: false}}
    request:
      method: POST
      path: "/{{ settings.region }}/things/{{ inputs.name }}/tags"
      params: {note: "{{ inputs.note }}", loud: "{{ inputs.loud }}"}
      json: {note: "{{ inputs.note }}", text: "n: {{ inputs.name }}", sound: {$when: inputs.loud, $value: 11}}
      idempotency_header: Idempotency-Key
    output: {id: data.id}
  mark:
    title: Mark
    effect: write
    input: {name: {required: true}}
    request: {method: POST, path: "/marks/{{ inputs.name }}"}
    probe: {request: {method: GET, path: "/marks/{{ inputs.name }}"}, done_when: status == 200}
  list:
    title: List
    effect: read
    request: {method: GET, path: /list}
    pagination: {items: data.items, next: data.next, param: cursor}
    output: {names: "data.items[].name"}
  linked:
    title: Linked
    effect: read
    request: {method: GET, path: /linked}
    pagination: {items: items, next: link}
    output: {all: items}
  scan:
    title: Scan
    effect: write
    request: {method: POST, path: /scan}
    output: {job: job, result: result}
    poll: {request: {method: GET, path: "/scan/{{ output.job }}"}, until: body.done == true, every: 1s, timeout: 1m}
"""


@pytest.fixture
def toy(tmp_path) -> Product:
    configure(Settings(data_dir=tmp_path, database_url="sqlite://", secret_key=b"x" * 40))
    return Product(from_text(TOY, "toy"), {"base_url": "https://toy.example/api/"}, {"token": "s3cret"})


def action(toy, name):
    return toy.connector.actions[name]


@respx.mock
def test_values_are_quoted_and_absent_ones_left_out(toy):
    sent = respx.post(url__startswith="https://toy.example/").respond(200, json={"data": {"id": 7}})
    tag = action(toy, "tag")
    answer = execute.perform(tag, toy, {"name": "a/../b?c#d", "note": None, "loud": False}, "key-1")
    request = sent.calls[0].request
    assert answer.output == {"id": 7}
    assert request.url.raw_path == b"/api/eu/things/a%2F..%2Fb%3Fc%23d/tags?loud=false"
    assert json.loads(request.content) == {"text": "n: a/../b?c#d"}
    assert request.headers["idempotency-key"] == "key-1"
    assert request.headers["authorization"] == "Bearer s3cret"
    execute.perform(tag, toy, {"name": "x", "note": "hi", "loud": True}, "key-2")
    assert json.loads(sent.calls[1].request.content) == {"note": "hi", "text": "n: x", "sound": 11}
    with pytest.raises(ActionFailed):
        execute.perform(tag, toy, {"name": "..", "note": None, "loud": False}, "key-3")


@respx.mock
def test_what_is_shown_is_what_is_sent_without_secrets(toy):
    shown = execute.show(action(toy, "tag"), toy, {"name": "s3cret", "note": None, "loud": False}, "k")
    assert shown["method"] == "POST"
    assert "s3cret" not in json.dumps(shown)


@respx.mock
def test_pages_are_followed_by_cursor_and_by_link(toy):
    respx.get("https://toy.example/api/list", params={"cursor": "p2"}).respond(
        200, json={"data": {"items": [{"name": "b"}]}}
    )
    respx.get("https://toy.example/api/list", params__eq={}).respond(
        200, json={"data": {"items": [{"name": "a"}], "next": "p2"}}
    )
    assert execute.perform(action(toy, "list"), toy, {}, "k").output == {"names": ["a", "b"]}
    elsewhere = respx.get("https://evil.example/api/linked").respond(200, json={"items": [9]})
    respx.get("https://toy.example/api/linked", params__eq={}).respond(
        200, json={"items": [1]}, headers={"Link": '<https://toy.example/api/linked?page=2>; rel="next"'}
    )
    respx.get("https://toy.example/api/linked", params={"page": "2"}).respond(
        200, json={"items": [2]}, headers={"Link": '<https://evil.example/api/linked>; rel="next"'}
    )
    assert execute.perform(action(toy, "linked"), toy, {}, "k").output == {"all": [1, 2]}
    assert not elsewhere.called, "credentials stay at their origin"


@respx.mock
def test_what_takes_time_is_asked_until_it_is_done(toy):
    scan = action(toy, "scan")
    respx.post("https://toy.example/api/scan").respond(202, json={"job": "j1"})
    begun = execute.perform(scan, toy, {}, "k")
    asked = respx.get("https://toy.example/api/scan/j1").mock(
        side_effect=[
            httpx.Response(200, json={"done": False}),
            httpx.Response(200, json={"done": True, "result": "clean"}),
        ]
    )
    assert execute.poll(scan, toy, {}, begun.output, "k") is None
    ended = execute.poll(scan, toy, {}, begun.output, "k")
    assert ended is not None
    assert ended.output["result"] == "clean"
    assert asked.call_count == 2


@respx.mock
@pytest.mark.parametrize(
    ("status", "done", "retryable"),
    [(400, False, False), (404, False, False), (429, False, True), (500, None, True), (503, False, True)],
)
def test_a_failure_says_whether_it_surely_did_not_happen(toy, status, done, retryable):
    respx.post(url__startswith="https://toy.example/").respond(status, text="s3cret was wrong")
    with pytest.raises(ActionFailed) as failed:
        execute.perform(action(toy, "tag"), toy, {"name": "x", "note": None, "loud": False}, "k")
    assert (failed.value.done, failed.value.retryable) == (done, retryable)
    assert "s3cret" not in failed.value.message


@respx.mock
def test_whether_it_happened_is_not_known_from_an_answer_to_something_else(toy):
    asked = respx.get("https://toy.example/api/marks/a")
    for status, happened in ((200, True), (404, False)):
        asked.respond(status)
        assert execute.probe(action(toy, "mark"), toy, {"name": "a"}, {}) is happened
    for status in (401, 403, 429, 500, 503):
        asked.respond(status)
        with pytest.raises(ActionFailed, match=str(status)):
            execute.probe(action(toy, "mark"), toy, {"name": "a"}, {})


@respx.mock
def test_health_is_told_in_a_sentence(toy):
    ping = respx.get("https://toy.example/api/ping").respond(200, json={"pong": True})
    assert execute.health(toy) == "https://toy.example answered 200."
    ping.respond(500, text="down")
    with pytest.raises(ActionFailed, match="answered 500: down"):
        execute.health(toy)


def test_a_product_at_a_private_address_needs_to_be_said(toy):
    inside = Product(toy.connector, {"base_url": "https://10.0.0.5"}, toy.secrets)
    with pytest.raises(ActionFailed, match="private address") as failed:
        execute.health(inside)
    assert failed.value.done is False
