"""A provider calls back over HTTP: without a session, proven by its signature of the address that it knows us by."""

import pytest
from at_the_pages import Reader

from cli import assemble
from core.actors import SYSTEM
from core.db import unit_of_work
from core.settings import configure, settings
from fake_twilio import SETTINGS, SID, TOKEN
from notify import contacts, twilio

pytestmark = pytest.mark.usefixtures("sqlite_database")
assemble.load()


def test_a_message_that_comes_in_is_proven_by_the_public_address() -> None:
    configure(settings().with_(base_url="https://tocsin.example.com"))
    with unit_of_work() as uow:
        contacts.configure_channel(uow, SYSTEM, "twilio_sms", SETTINGS)
    path = "/callbacks/twilio_sms"
    fields = {"AccountSid": SID, "MessageSid": "SM1", "From": "+34600111222", "Body": "A47"}
    proof = twilio.signature(TOKEN, f"https://tocsin.example.com{path}", list(fields.items()))

    def call(path: str, signed: str) -> tuple[int, str]:
        answer = Reader()._send("POST", path, data=fields, headers={"X-Twilio-Signature": signed})
        return answer.status_code, answer.text

    assert call(path, proof) == (200, "<?xml version='1.0' encoding='utf-8'?>\n<Response />")
    assert call(f"{path}?a=1", proof)[0] == 403, "the query is signed too"
    assert [call(path, "wrong")[0] for _ in range(31)][-2:] == [429, 429], "guessing is slowed down"
    assert call(path, proof)[0] == 200, "who proves it is heard all the same"
    assert call("/callbacks/email", proof)[0] == 404
