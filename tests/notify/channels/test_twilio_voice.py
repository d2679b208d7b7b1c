"""A call by Twilio: what is said in TwiML, and what comes back of it."""

from collections.abc import Iterator
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
import respx

from core.settings import Settings, configure
from fake_twilio import SETTINGS, FakeTwilio, signed
from notify.channels import twilio_voice
from notify.contract import Context, Pressed, Receipt, Unproven
from outgoing_samples import PAGE

HERE = "https://tocsin.example.com/callbacks/twilio_voice/t"
CONTEXT = Context(config={**SETTINGS, "voice_number": "+15005550009"}, callback=HERE)
TO = {"to": "+34600111222"}


@pytest.fixture
def far(test_settings: Settings) -> Iterator[FakeTwilio]:
    configure(test_settings)
    with respx.mock(assert_all_called=False) as router:
        yield FakeTwilio(router)


def test_one_call(far: FakeTwilio) -> None:
    hostile = replace(PAGE, title='</Say><Dial>+1900</Dial> ▒▒▒ & "more"')
    sent = twilio_voice.channel.send(hostile, TO, CONTEXT)
    [call] = far.calls
    assert sent.provider_id == call["sid"]
    assert (call["To"], call["From"], call["Timeout"]) == ("+34600111222", "+15005550009", "30")
    assert (call["StatusCallback"], call["StatusCallbackEvent"]) == (HERE, "completed")
    assert len(call["Twiml"]) < 4000
    said = ET.fromstring(call["Twiml"])
    assert [part.tag for part in said] == ["Gather", "Gather", "Say"]
    assert said[0].attrib == {"input": "dtmf", "numDigits": "1", "timeout": "6", "action": HERE}
    [say] = said[0]
    assert say.text == (
        'This is Tocsin, with a page. Severity critical. </Say><Dial>+1900</Dial> a hidden name & "more". '
        "Press 1 to acknowledge it, or 2 to have the next person paged."
    )


def test_without_a_way_back_no_key_is_asked_for(far: FakeTwilio) -> None:
    twilio_voice.channel.send(PAGE, TO, replace(CONTEXT, callback=""))
    assert "Gather" not in far.calls[0]["Twiml"]
    assert "Open Tocsin to answer" in far.calls[0]["Twiml"]
    assert "StatusCallback" not in far.calls[0]


@pytest.mark.parametrize(
    ("fields", "heard"),
    [
        ({"CallStatus": "in-progress", "Digits": "1"}, Pressed("CA1:1", "1")),
        ({"CallStatus": "completed"}, Receipt("CA1:completed", "over", "the call ended")),
        ({"CallStatus": "busy"}, Receipt("CA1:busy", "failed", "the line was busy")),
        ({"CallStatus": "no-answer"}, Receipt("CA1:no-answer", "failed", "nobody answered the telephone")),
        ({"CallStatus": "ringing"}, None),
    ],
)
def test_what_calls_back(fields: dict[str, str], heard: object) -> None:
    assert twilio_voice.hears(signed(HERE, CallSid="CA1", **fields), SETTINGS) == heard
    with pytest.raises(Unproven):
        twilio_voice.hears(signed(HERE, "wrong", CallSid="CA1", **fields), SETTINGS)


def test_answers_hang_up() -> None:
    assert [part.tag for part in ET.fromstring(twilio_voice.answers("You have it."))] == ["Say", "Hangup"]
