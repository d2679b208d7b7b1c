"""SMS by Twilio: the request, its refusals, the text in two segments, and the proof of what calls back."""

from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest
import respx
from hypothesis import given
from hypothesis import strategies as st

from core.settings import Settings, configure
from fake_twilio import SETTINGS, TOKEN, FakeTwilio, signed
from notify import segments, twilio
from notify.channels import twilio_sms
from notify.contract import Context, Receipt, Reply, Undeliverable, Unproven
from outgoing_samples import PAGE

HERE = "https://tocsin.example.com/callbacks/twilio_sms"
CONTEXT = Context(config=SETTINGS, base_url="https://tocsin.example.com", callback=f"{HERE}/t")
TO = {"to": "+34600111222"}


@pytest.fixture
def far(test_settings: Settings) -> Iterator[FakeTwilio]:
    configure(test_settings)
    with respx.mock(assert_all_called=False) as router:
        yield FakeTwilio(router)


def test_one_message(far: FakeTwilio) -> None:
    sent = twilio_sms.channel.send(replace(PAGE, code="A47"), TO, CONTEXT)
    [message] = far.messages
    assert (sent.provider_id, sent.answer) == (message["sid"], "201 queued")
    assert message["To"] == "+34600111222"
    assert message["From"] == "+15005550006"
    assert message["StatusCallback"] == f"{HERE}/t"
    assert message["Body"] == (
        "CRITICAL: Malware <!channel> on WS-7 Reply A47 to acknowledge, or open https://tocsin.example.com/pages"
    )
    login = far.router.calls.last.request.headers["Authorization"]
    assert httpx.BasicAuth(SETTINGS["account_sid"], TOKEN)._auth_header == login


def test_a_messaging_service_takes_the_place_of_the_number(far: FakeTwilio) -> None:
    config = {**SETTINGS, "messaging_service_sid": "MG1"}
    twilio_sms.channel.send(PAGE, TO, replace(CONTEXT, config=config, callback=""))
    assert far.messages[0]["MessagingServiceSid"] == "MG1"
    assert not {"From", "StatusCallback"} & set(far.messages[0])
    assert "Reply" not in far.messages[0]["Body"]


@pytest.mark.parametrize(("status", "permanent"), [(400, True), (401, True), (429, False), (503, False)])
def test_refusals(far: FakeTwilio, status: int, permanent: bool) -> None:
    far.refuse = status
    with pytest.raises(Undeliverable, match=str(status)) as refused:
        twilio_sms.channel.send(PAGE, TO, CONTEXT)
    assert refused.value.permanent is permanent
    assert TOKEN not in refused.value.reason


def test_no_answer_may_have_been_sent(far: FakeTwilio) -> None:
    far.router.routes[0].mock(side_effect=httpx.ReadTimeout("slow"))
    with pytest.raises(Undeliverable) as cut:
        twilio_sms.channel.send(PAGE, TO, CONTEXT)
    assert cut.value.maybe_sent


def test_without_an_account_it_says_what_to_do() -> None:
    with pytest.raises(Undeliverable, match="On-call, Channels"):
        twilio_sms.channel.send(PAGE, TO, Context(config={"account_sid": "../..", "auth_token": "x"}))


def test_the_signature_is_the_documented_one() -> None:
    """The example that Twilio's own libraries are tested with."""
    fields = [
        ("CallSid", "CA1234567890ABCDE"), ("From", "+12349013030"), ("To", "+18005551212"),
        ("Caller", "+12349013030"), ("Digits", "1234"),
    ]  # fmt: skip
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    assert twilio.signature("12345", url, fields) == "0/KCTR6DLpKmkAf8muzZqo1nDgQ="


@pytest.mark.parametrize(
    ("fields", "heard"),
    [
        ({"MessageStatus": "delivered"}, Receipt("SM1:delivered", "arrived", "delivered")),
        ({"MessageStatus": "sent"}, Receipt("SM1:sent", "under_way", "sent")),
        ({"MessageStatus": "queued"}, None),
        (
            {"MessageStatus": "undelivered", "ErrorCode": "30003"},
            Receipt("SM1:undelivered", "failed", "undelivered, Twilio's error 30003"),
        ),
        ({"From": "+34600111222", "Body": "a47 ok"}, Reply("SM1:reply", "+34600111222", "a47 ok")),
    ],
)
def test_what_calls_back(fields: dict[str, str], heard: object) -> None:
    assert twilio_sms.hears(signed(HERE, MessageSid="SM1", **fields), SETTINGS) == heard


def test_what_is_not_signed_is_refused() -> None:
    good = signed(HERE, MessageSid="SM1", MessageStatus="delivered")
    for bad in (
        replace(good, headers={}),
        replace(good, url=good.url + "/other"),
        replace(good, fields=(*good.fields, ("ErrorCode", "1"))),
        signed(HERE, "another token", MessageSid="SM1"),
        signed(HERE, MessageSid="SM1", AccountSid="AC" + "1" * 32),
    ):
        with pytest.raises(Unproven):
            twilio_sms.hears(bad, SETTINGS)
    with pytest.raises(Unproven):
        twilio_sms.hears(signed(HERE, ""), {"account_sid": SETTINGS["account_sid"]})


def test_answers_are_xml() -> None:
    assert twilio_sms.answers("a <b> & \x00c\ufffe") == (
        b"<?xml version='1.0' encoding='utf-8'?>\n<Response><Message>a &lt;b&gt; &amp; c</Message></Response>"
    )
    assert b"Message" not in twilio_sms.answers("")


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("€" * 80, 1),
        ("ü" * 160, 1),
        ("ж" * 70, 1),
        ("ж" * 71, 2),
        ("😀" * 36, 2),
    ],
)
def test_segments(text: str, count: int) -> None:
    assert segments.segments(text) == count


@given(st.text(), st.text(max_size=90))
def test_every_text_fits_in_two_segments(head: str, tail: str) -> None:
    fitted = segments.fit(
        head.encode("utf-16", "replace").decode("utf-16"), tail.encode("utf-16", "replace").decode("utf-16")
    )
    assert segments.segments(fitted) <= 2


def test_what_is_too_long_keeps_the_way_to_answer() -> None:
    body = twilio_sms.body(
        replace(PAGE, title="Señal «crítica» " * 40, code="A47"), "https://tocsin.example.com"
    )
    assert body.startswith("CRITICAL: Señal ")
    assert body.endswith("... Reply A47 to acknowledge, or open https://tocsin.example.com/pages")
