"""A call by Twilio: reads the page out, and takes a key for an answer."""

from collections.abc import Mapping

from notify import twilio
from notify.contract import Callback, Channel, Context, Field, Outgoing, Pressed, Receipt, Sent
from notify.outside import HIDDEN
from notify.wording import one_line

RINGS = 30
"""Seconds the telephone rings: shorter than most mailboxes wait."""
_ASKED = 2
_VOICE = "en-GB"

# https://www.twilio.com/docs/voice/api/call-resource#call-status-values
_FAILED = {
    "busy": "the line was busy",
    "no-answer": "nobody answered the telephone",
    "failed": "the call could not be connected",
    "canceled": "the call was cancelled",
}


def send(outgoing: Outgoing, address: Mapping[str, str], context: Context) -> Sent:
    """Start one call, with all that it says; the keys and the end of it come by `context.callback`."""
    number = context.config.get("voice_number") or context.config.get("from_number", "")
    fields = [("To", address["to"]), ("From", number), ("Twiml", said(outgoing, context.callback).decode())]
    fields.append(("Timeout", str(RINGS)))
    if context.callback:
        fields += [("StatusCallback", context.callback), ("StatusCallbackEvent", "completed")]
    return twilio.create(context, "Calls", fields)


def said(outgoing: Outgoing, callback: str) -> bytes:
    """What is said, twice, in TwiML: https://www.twilio.com/docs/voice/twiml/gather."""
    title = one_line(outgoing.title.replace(HIDDEN, "a hidden name"), 300)
    if outgoing.kind == "page":
        what = f"This is Tocsin, with a page. Severity {outgoing.severity}. {title}."
        keys = "Press 1 to acknowledge it, or 2 to have the next person paged."
    else:
        what = f"This is Tocsin. {title}. {one_line(outgoing.text, 300)}"
        keys = "Press 1 if you have heard this."
    if not callback:
        say = twilio.element("Say", f"{what} Open Tocsin to answer.", language=_VOICE, loop=str(_ASKED))
        return twilio.twiml(say)
    asked = []
    for _ in range(_ASKED):
        gather = twilio.element("Gather", input="dtmf", numDigits="1", timeout="6", action=callback)
        gather.append(twilio.element("Say", f"{what} {keys}", language=_VOICE))
        asked.append(gather)
    return twilio.twiml(*asked, twilio.element("Say", "Nobody answered. Goodbye.", language=_VOICE))


def hears(callback: Callback, config: Mapping[str, str]) -> Receipt | Pressed | None:
    """A key, or the end of the call."""
    twilio.prove(callback, config)
    number, status = callback.get("CallSid"), callback.get("CallStatus")
    if digit := callback.get("Digits"):
        return Pressed(f"{number}:{digit[:1]}", digit[:1])
    if status in _FAILED:
        return Receipt(f"{number}:{status}", "failed", _FAILED[status])
    return Receipt(f"{number}:{status}", "over", "the call ended") if status == "completed" else None


def answers(text: str) -> bytes:
    """A TwiML document that says the text and hangs up."""
    return twilio.twiml(
        *([twilio.element("Say", text, language=_VOICE)] if text else []), twilio.element("Hangup")
    )


channel = Channel(
    name="twilio_voice",
    title="Telephone call by Twilio",
    docs="https://www.twilio.com/docs/voice/api/call-resource",
    send=send,
    address=(Field("to", "Telephone number", "phone", help="With the country's code: +34600111222."),),
    shown=lambda address: f"{address.get('to', '')[:3]}…{address.get('to', '')[-4:]}",
    in_the_clear=True,
    shares=twilio.ACCOUNT,
    hears=hears,
    answers=answers,
)
