"""SMS by Twilio: one or two segments, which one can answer with the page's code."""

from collections.abc import Mapping

from notify import twilio
from notify.contract import Callback, Channel, Context, Field, Outgoing, Receipt, Reply, Sent
from notify.segments import fit
from notify.wording import headline

# https://www.twilio.com/docs/messaging/api/message-resource#message-status-values
_ARRIVED = ("delivered", "read")
_FAILED = ("undelivered", "failed", "canceled")


def send(outgoing: Outgoing, address: Mapping[str, str], context: Context) -> Sent:
    """Hand one message over; what became of it comes by `context.callback`."""
    service = context.config.get("messaging_service_sid")
    sender = ("MessagingServiceSid", service) if service else ("From", context.config.get("from_number", ""))
    fields = [("To", address["to"]), sender, ("Body", body(outgoing, context.base_url))]
    if context.callback:
        fields.append(("StatusCallback", context.callback))
    return twilio.create(context, "Messages", fields)


def body(outgoing: Outgoing, base_url: str) -> str:
    """The text: what, in two segments at most, and how to answer it. The signed link would not fit."""
    if outgoing.kind == "page":
        way = f"Reply {outgoing.code} to acknowledge, or" if outgoing.code else "To acknowledge,"
        return fit(headline(outgoing), f"{way} open {base_url}/pages")
    if outgoing.kind == "bundle":
        return fit(outgoing.title, f"{base_url}/pages")
    return fit(f"{outgoing.title}: {outgoing.text}" if outgoing.text else outgoing.title, "")


def hears(callback: Callback, config: Mapping[str, str]) -> Receipt | Reply | None:
    """A status callback, or a message that somebody sent to our number."""
    twilio.prove(callback, config)
    number, status = callback.get("MessageSid"), callback.get("MessageStatus")
    if not status:
        return Reply(f"{number}:reply", callback.get("From"), callback.get("Body")[:200])
    key = f"{number}:{status}"
    if status in _ARRIVED:
        return Receipt(key, "arrived", status)
    if status in _FAILED:
        code = callback.get("ErrorCode")
        return Receipt(key, "failed", f"{status}, Twilio's error {code}" if code else status)
    return Receipt(key, "under_way", status) if status == "sent" else None


def answers(text: str) -> bytes:
    """A TwiML document that sends the text back; none is sent for an empty one."""
    return twilio.twiml(*([twilio.element("Message", fit(text, ""))] if text else []))


channel = Channel(
    name="twilio_sms",
    title="SMS by Twilio",
    docs="https://www.twilio.com/docs/messaging/api/message-resource",
    send=send,
    address=(Field("to", "Mobile number", "phone", help="With the country's code: +34600111222."),),
    config=twilio.SETTINGS,
    shown=lambda address: f"{address.get('to', '')[:3]}…{address.get('to', '')[-4:]}",
    in_the_clear=True,
    hears=hears,
    answers=answers,
    takes_codes=True,
)
