"""Speaks with Twilio: makes a message or a call, proves who calls back, writes TwiML."""

import base64
import hmac
import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

from notify import outward
from notify.contract import Callback, Context, Field, Sent, Undeliverable, Unproven
from notify.wording import one_line

API = "https://api.twilio.com"
ACCOUNT = "twilio_sms"
"""The channel whose settings hold the account."""
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SID = re.compile(r"AC[0-9a-fA-F]{32}")

SETTINGS = (
    Field("account_sid", "Account SID", help="AC…, on the first page of Twilio's console."),
    Field("auth_token", "Auth token", "secret", help="Beside it. It also proves that a callback is Twilio's."),
    Field("from_number", "Number that sends", "phone", help="A number of yours at Twilio, such as +15005550006."),
    Field("voice_number", "Number that calls", "phone", required=False, help="If it is another one."),
    Field("messaging_service_sid", "Messaging service", required=False, help="MG…, used instead of the number for SMS."),
    Field("api_url", "API address", "url", required=False, help="Only for a region, a proxy or a test."),
)  # fmt: skip


def create(context: Context, resource: str, fields: Sequence[tuple[str, str]]) -> Sent:
    """POST /2010-04-01/Accounts/{sid}/{Messages,Calls}.json; 201 answers its SID and status.

    https://www.twilio.com/docs/messaging/api/message-resource, https://www.twilio.com/docs/voice/api/call-resource
    """
    sid, token = context.config.get("account_sid", ""), context.config.get("auth_token", "")
    if not _SID.fullmatch(sid) or not token:
        raise Undeliverable(
            "Twilio is not set up: a manager enters the account under On-call, Channels.", permanent=True
        )
    base = (context.config.get("api_url") or API).rstrip("/")
    login = base64.b64encode(f"{sid}:{token}".encode()).decode()
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": f"Basic {login}"}
    url = f"{base}/2010-04-01/Accounts/{sid}/{resource}.json"
    response = outward.post(context, url, urlencode(fields).encode(), headers)
    answer = outward.answer_of(response)
    number = str(answer.get("sid") or "")[:64]
    return Sent(number or None, f"{response.status} {one_line(str(answer.get('status', '')), 40)}".strip())


def signature(token: str, url: str, fields: Sequence[tuple[str, str]]) -> str:
    """X-Twilio-Signature: base64 of HMAC-SHA1 over the URL and each field's name and value, sorted by name.

    https://www.twilio.com/docs/usage/security#validating-requests
    """
    said = url + "".join(name + value for name, value in sorted(set(fields)))
    return base64.b64encode(hmac.digest(token.encode(), said.encode(), "sha1")).decode()


def prove(callback: Callback, config: Mapping[str, str]) -> None:
    """Raises Unproven unless our own account at Twilio signed this callback."""
    token, sid = config.get("auth_token", ""), config.get("account_sid", "")
    right = signature(token, callback.url, callback.fields)
    if not token or not hmac.compare_digest(
        right.encode(), callback.headers.get("x-twilio-signature", "").encode()
    ):
        raise Unproven
    if callback.get("AccountSid") != sid:
        raise Unproven


def twiml(*elements: ET.Element) -> bytes:
    """A TwiML document; whatever the texts hold is escaped."""
    response = ET.Element("Response")
    response.extend(elements)
    return bytes(ET.tostring(response, encoding="utf-8", xml_declaration=True))


def element(tag: str, text: str = "", **attributes: str) -> ET.Element:
    """One element with a text; characters that XML does not know are left out."""
    made = ET.Element(tag, attributes)
    made.text = one_line(_NOT_XML.sub("", text), 1600)
    return made
