"""What is looked up before an action: exactly one, or a list that is not too long, or nothing is done."""

import json

import pytest
import respx

from connectors import execute, sending
from connectors.contract import ActionFailed, DeclarationError
from connectors.declared import from_text
from connectors.products import Product
from core.settings import Settings, configure

TOY = """
connector: toy
name: Toy
kind: edr
docs: https://toy.example/docs
settings: {base_url: {type: url, required: true}, ca: {type: text}}
actions:
  get_host:
    title: Look up a host
    effect: read
    input: {name: {required: true, entity: host}, most: {type: integer, default: 2}}
    find:
      host:
        request: {method: GET, path: /hosts, params: {q: "{{ inputs.name | literal('odata') }}", most: "{{ inputs.most }}"}}
        one: "hosts[].id"
    request: {method: GET, path: "/hosts/{{ found.host }}"}
    output:
      id: id
      state: {value: "{{ body.state | upper }}"}
      users: {each: "users[]", line: "{{ item.name }} on {{ inputs.name }} ({{ found.host }})"}
  isolate:
    title: Isolate
    effect: disruptive
    input: {host: {required: true, entity: host}}
    find:
      host: {action: get_host, with: {name: "{{ inputs.host }}"}, one: id, missing: "There is no host {{ inputs.host }}."}
    request: {method: POST, path: "/hosts/{{ found.host }}/isolate"}
    no_undo: never
  purge:
    title: Purge
    effect: disruptive
    input: {query: {required: true, entity: any}}
    find:
      mails: {request: {method: GET, path: /mails}, all: "mails[]", most: 3, missing: "No mail fits {{ inputs.query }}."}
    request: {method: POST, path: /purge, json: {mails: "{{ found.mails }}"}}
    no_undo: never
"""


@pytest.fixture
def toy(tmp_path) -> Product:
    configure(Settings(data_dir=tmp_path, database_url="sqlite://", secret_key=b"x" * 40))
    return Product(from_text(TOY, "toy"), {"base_url": "https://toy.example/api"}, {})


def act(toy, action, **inputs):
    return execute.perform(toy.connector.actions[action], toy, inputs, "key-1")


@respx.mock
def test_a_name_becomes_the_id_that_the_product_knows(toy):
    asked = respx.get("https://toy.example/api/hosts").respond(json={"hosts": [{"id": "h 1"}, {"id": "h 1"}]})
    respx.get("https://toy.example/api/hosts/h%201").respond(
        json={
            "id": "h 1",
            "state": "on",
            "users": [{"name": "jo"}, {"name": "jo"}, {"nick": "al\n{{ 1 }}"}, None],
        }
    )
    isolated = respx.post("https://toy.example/api/hosts/h%201/isolate").respond(202)
    assert act(toy, "get_host", name="o'x").output == {
        "id": "h 1",
        "state": "ON",
        "users": ["jo on o'x (h 1)", '{"nick": "al\\n{{ 1 }}"}'],
        "found": True,
    }
    assert dict(asked.calls[0].request.url.params) == {"q": "'o''x'", "most": "2"}
    act(toy, "isolate", host="web-1")
    assert isolated.call_count == 1
    shown = execute.show(toy.connector.actions["isolate"], toy, {"host": "web-1"}, "key-1")
    assert shown["url"] == "https://toy.example/api/hosts/found.host/isolate"
    assert [one["url"] for one in shown["finds"]] == [
        "https://toy.example/api/hosts", "https://toy.example/api/hosts/found.host",
    ]  # fmt: skip


@respx.mock
@pytest.mark.parametrize(
    ("hosts", "sentence"),
    [
        ([], "There is no host web-1."),
        ([{"id": 1}, {"id": 2}], "Toy knows 2 of this name, and nothing was done"),
    ],
)
def test_none_or_two_of_a_name_are_not_acted_on(toy, hosts, sentence):
    respx.get("https://toy.example/api/hosts").respond(json={"hosts": hosts})
    isolated = respx.post(url__regex=".*/isolate")
    with pytest.raises(ActionFailed, match=sentence) as failed:
        act(toy, "isolate", host="web-1")
    assert (failed.value.done, isolated.called) == (False, False)
    if not hosts:
        assert act(toy, "get_host", name="web-1").output == {"found": False}


@respx.mock
@pytest.mark.parametrize(
    ("mails", "sentence"), [([], "No mail fits x."), ([1, 2, 3, 4], "more than 3, and nothing was done")]
)
def test_a_list_that_is_empty_or_too_long_is_not_acted_on(toy, mails, sentence):
    respx.get("https://toy.example/api/mails").respond(json={"mails": mails})
    purged = respx.post("https://toy.example/api/purge")
    with pytest.raises(ActionFailed, match=sentence) as failed:
        act(toy, "purge", query="x")
    assert (failed.value.done, purged.called) == (False, False)


@respx.mock
def test_a_list_is_sent_as_it_was_found(toy):
    mails = [{"id": "a", "to": "jo@acme.example"}, {"id": "a", "to": "{{ 7 * 7 }}"}]
    respx.get("https://toy.example/api/mails").respond(json={"mails": mails})
    purged = respx.post("https://toy.example/api/purge").respond(202)
    act(toy, "purge", query="x")
    assert json.loads(purged.calls[0].request.content) == {"mails": mails}


def test_an_authority_of_ones_own_is_trusted_for_its_product_only(toy, monkeypatch):
    used = []

    def send(request, **_):
        used.append(request.tls.ca)
        raise AssertionError("enough")

    monkeypatch.setattr(sending.http, "send", send)
    own = Product(toy.connector, {**toy.settings, "ca": "-----BEGIN CERTIFICATE-----"}, {})
    for product in (own, toy):
        with pytest.raises(AssertionError, match="enough"):
            act(product, "get_host", name="web-1")
    assert used == ["-----BEGIN CERTIFICATE-----", None]


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("{action: get_host, with", "{action: purge, with", 'a look-up only reads, but "purge" is disruptive'),
        ("{action: get_host, with", "{action: get_hots, with", 'there is no action "get_hots" in this file'),
        ("one: id, missing", "one: id, all: ids, missing", "needs exactly one of one"),
        ("host: {action: get_host, with", "host: {with", "needs exactly one of request and action"),
        ('with: {name: "{{ inputs.host }}"}, one', "with: {}, one", '"get_host" needs the input "name"'),
        ('one: "hosts[].id"\n', 'one: "hosts[].id"\n        often: 3\n', "unknown name"),
        ('state: {value: "{{ body.state | upper }}"}', "state: {each: x}", '"line" is missing'),
    ],
)  # fmt: skip
def test_a_wrong_look_up_is_refused_with_its_line(before, after, sentence):
    assert before in TOY
    with pytest.raises(DeclarationError, match=r"toy\.py:\d+: actions") as caught:
        from_text(TOY.replace(before, after), "toy")
    assert sentence in "\n".join(caught.value.problems)
