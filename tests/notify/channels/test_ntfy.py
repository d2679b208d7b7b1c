"""ntfy: published as JSON to the server's root, as its documentation describes."""

import json

import pytest
import respx

from core.settings import Settings, configure
from notify.channels import ntfy
from notify.contract import Context, Undeliverable
from outgoing_samples import PAGE


@respx.mock
def test_a_page_is_published_with_priority_and_buttons(test_settings: Settings) -> None:
    configure(test_settings)
    route = respx.post("https://push.example.org/").respond(json={"id": "sPs71M8A2T", "event": "message"})
    address = {"topic": "t0p", "server": "https://push.example.org", "token": "tk_1"}
    sent = ntfy.channel.send(PAGE, address, Context(timeout=5))
    assert sent.provider_id == "sPs71M8A2T"
    request = route.calls.last.request
    assert request.headers["Authorization"] == "Bearer tk_1"
    body = json.loads(request.content)
    assert (body["topic"], body["priority"], body["click"]) == ("t0p", 5, "http://tocsin.test/a/token")
    assert {action["action"] for action in body["actions"]} == {"view"}, "only a person's tap acknowledges"


@respx.mock
def test_the_public_server_is_the_default_and_refusals_are_told(test_settings: Settings) -> None:
    configure(test_settings)
    respx.post("https://ntfy.sh/").respond(403, json={"code": 40301, "error": "forbidden"})
    with pytest.raises(Undeliverable, match="403") as refused:
        ntfy.channel.send(PAGE, {"topic": "t0p"}, Context())
    assert refused.value.permanent


def test_the_topic_is_a_password() -> None:
    assert next(f for f in ntfy.channel.address if f.name == "topic").type == "secret"
    assert ntfy.channel.shown({"topic": "very-secret"}) == "ntfy topic ve…"
