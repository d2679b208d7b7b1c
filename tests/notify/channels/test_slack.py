"""Slack by webhook and by bot, as its documentation describes the answers."""

import json
from collections.abc import Iterator

import httpx
import pytest
import respx

from core.settings import Settings, configure
from notify.channels import slack
from notify.contract import Context, Undeliverable
from outgoing_samples import PAGE

HOOK = "https://hooks.slack.com/services/T0/B0/x"
BOT = Context(config={"bot_token": "xoxb-1"}, base_url="http://tocsin.test", timeout=5)


@pytest.fixture
def far(test_settings: Settings) -> Iterator[respx.MockRouter]:
    configure(test_settings)
    with respx.mock() as router:
        yield router


def test_webhook(far: respx.MockRouter) -> None:
    route = far.post(HOOK).respond(200, text="ok")
    assert slack.channel.send(PAGE, {"webhook_url": HOOK}, Context()).answer == "200 ok"
    body = json.loads(route.calls.last.request.content)
    assert body["text"] == "CRITICAL: Malware &lt;!channel&gt; on WS-7"
    assert body["blocks"][0]["text"] == {"type": "plain_text", "text": "CRITICAL: Malware <!channel> on WS-7"}
    assert "<http://tocsin.test/a/token|Acknowledge…>" in body["blocks"][-1]["text"]["text"]


@pytest.mark.parametrize(
    ("status", "text", "permanent"),
    [
        (404, "no_service", True),
        (400, "invalid_payload", True),
        (429, "rate_limited", False),
        (503, "", False),
    ],
)
def test_webhook_refusals(far: respx.MockRouter, status: int, text: str, permanent: bool) -> None:
    far.post(HOOK).respond(status, text=text)
    with pytest.raises(Undeliverable, match=str(status)) as refused:
        slack.channel.send(PAGE, {"webhook_url": HOOK}, Context())
    assert refused.value.permanent is permanent


def test_bot(far: respx.MockRouter) -> None:
    route = far.post(slack.API).respond(json={"ok": True, "ts": "1503435956.000247", "channel": "C1H9RESGL"})
    sent = slack.channel.send(PAGE, {"to": "#soc"}, BOT)
    assert (sent.provider_id, sent.answer) == ("1503435956.000247", "200 ok, channel C1H9RESGL")
    request = route.calls.last.request
    assert request.headers["Authorization"] == "Bearer xoxb-1"
    assert json.loads(request.content)["channel"] == "#soc"


@pytest.mark.parametrize(("error", "permanent"), [("not_in_channel", True), ("ratelimited", False)])
def test_bot_refusals_come_with_200(far: respx.MockRouter, error: str, permanent: bool) -> None:
    far.post(slack.API).respond(json={"ok": False, "error": error})
    with pytest.raises(Undeliverable, match=error) as refused:
        slack.channel.send(PAGE, {"to": "#soc"}, BOT)
    assert refused.value.permanent is permanent


def test_no_answer_may_have_been_sent(far: respx.MockRouter) -> None:
    far.post(HOOK).mock(side_effect=httpx.ReadTimeout("slow"))
    with pytest.raises(Undeliverable) as cut:
        slack.channel.send(PAGE, {"webhook_url": HOOK}, Context())
    assert cut.value.maybe_sent


def test_what_is_missing_is_said(far: respx.MockRouter) -> None:
    with pytest.raises(Undeliverable, match="bot token"):
        slack.channel.send(PAGE, {"to": "#soc"}, Context())
    assert slack.channel.from_text(HOOK) == {"webhook_url": HOOK}
    assert slack.channel.shown({"webhook_url": HOOK}) == "incoming webhook"
