"""Webhook: what is posted, and its signature."""

import hashlib
import hmac
import json

import pytest
import respx

from core.settings import Settings, configure
from notify.channels import webhook
from notify.contract import Context, Undeliverable
from outgoing_samples import PAGE

URL = "https://hooks.example.org/in?key=s3cret"


@respx.mock
def test_the_document_is_signed_over_time_and_body(test_settings: Settings) -> None:
    configure(test_settings)
    route = respx.post(URL).respond(202, text="queued")
    sent = webhook.channel.send(PAGE, {"url": URL, "secret": "sixteen letters!"}, Context(timeout=5))
    assert sent.answer == "202 queued"
    request = route.calls.last.request
    stamp, mac = (part.split("=")[1] for part in request.headers["Tocsin-Signature"].split(","))
    expected = hmac.new(
        b"sixteen letters!", f"{stamp}.".encode() + request.content, hashlib.sha256
    ).hexdigest()
    assert mac == expected
    assert request.headers["Idempotency-Key"] == str(PAGE.id)
    body = json.loads(request.content)
    assert (body["type"], body["severity"], body["link"]) == ("page", "critical", PAGE.link)


@respx.mock
def test_a_server_error_may_pass(test_settings: Settings) -> None:
    configure(test_settings)
    respx.post(URL).respond(500)
    with pytest.raises(Undeliverable) as refused:
        webhook.channel.send(PAGE, {"url": URL}, Context())
    assert not refused.value.permanent


def test_addresses_inside_are_refused_and_the_key_is_not_shown(test_settings: Settings) -> None:
    configure(test_settings.with_(egress_allow=()))
    with pytest.raises(Undeliverable, match="metadata") as refused:
        webhook.channel.send(PAGE, {"url": "http://169.254.169.254/latest"}, Context())
    assert refused.value.permanent
    assert webhook.channel.shown({"url": URL}) == "hooks.example.org"
