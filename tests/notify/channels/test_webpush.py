"""Web Push over real HTTP to a push service of our own: what it gets, what the browser can read of it, and its refusals."""

import json
from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import select
from vendor_server import Answer, Vendor

from core.actors import SYSTEM
from core.auth import users
from core.db import reading, unit_of_work
from core.settings import Settings, configure, settings
from core.types import Ref, Severity
from notify import contacts, delivery, inbox, queries, vapid, web_push
from notify.channels import webpush
from notify.contract import Context, Undeliverable
from notify.escalation import Target
from notify.models import ContactMethod
from notify.oncall.policy_editing import PolicyDraft, StepDraft, create_policy
from outgoing_samples import PAGE

BROWSER = ec.generate_private_key(ec.SECP256R1())
AUTH = bytes(range(16))
PRIVATE, PUBLIC = web_push.new_key()
CONTEXT = Context(config={"private_key": PRIVATE}, base_url="https://tocsin.example.com")


def address(url: str) -> dict[str, str]:
    point = web_push.text(web_push.point(BROWSER))
    return {"url": url, "p256dh": point, "auth": web_push.text(AUTH), "browser": "Chrome on Android"}


def read_by_browser(body: bytes) -> bytes:
    """Decrypt as RFC 8291 §3.4 tells a browser to, with our own hands."""
    salt, size, ours, record = body[:16], body[20], body[21:86], body[86:]
    assert size == 65
    shared = BROWSER.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), ours))

    def derive(material: bytes, salt: bytes, info: bytes, length: int) -> bytes:
        return HKDF(hashes.SHA256(), length, salt=salt, info=info).derive(material)

    material = derive(shared, AUTH, b"WebPush: info\0" + web_push.point(BROWSER) + ours, 32)
    key = derive(material, salt, b"Content-Encoding: aes128gcm\0", 16)
    plain = AESGCM(key).decrypt(derive(material, salt, b"Content-Encoding: nonce\0", 12), record, None)
    return plain.rstrip(b"\0").removesuffix(b"\x02")


def test_the_encryption_is_that_of_the_standard() -> None:
    """RFC 8291, Appendix A."""
    key = web_push.from_text("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw")
    browser = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
    made = web_push.encrypted(
        b"When I grow up, I want to be a watermelon", web_push.data(browser), web_push.data("BTBZMqHH6r4Tts7J_aSIgg"),
        key=key, salt=web_push.data("DGv6ra1nlYgDCS1FRnbzlw"),
    )  # fmt: skip
    assert web_push.text(made) == (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A"
        "_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )


def test_what_the_push_service_gets(vendor: Vendor, test_settings: Settings) -> None:
    configure(test_settings.with_(egress_allow=("127.0.0.1",)))
    vendor.answer("POST", "/push/abc", Answer(201, headers={"Location": f"{vendor.url}/m/17"}))
    sent = webpush.channel.send(PAGE, address(f"{vendor.url}/push/abc"), CONTEXT)
    assert (sent.provider_id, sent.answer) == ("17", "201 127.0.0.1")
    [call] = vendor.calls
    headers = {name.lower(): value for name, value in call.headers.items()}
    assert (headers["content-encoding"], headers["urgency"], headers["ttl"]) == ("aes128gcm", "high", "900")
    assert b"Malware" not in call.body
    told = json.loads(read_by_browser(call.body))
    assert told["title"] == "CRITICAL: Malware <!channel> on WS-7"
    assert told["url"] == PAGE.acknowledge, "a tap opens our page, whose button acknowledges"
    assert told["loud"]
    token, _, key = headers["authorization"].removeprefix("vapid t=").partition(", k=")
    assert key == PUBLIC
    said, _, signature = token.rpartition(".")
    raw = web_push.data(signature)
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    web_push.from_text(PRIVATE).public_key().verify(der, said.encode(), ec.ECDSA(hashes.SHA256()))
    claims = json.loads(web_push.data(said.partition(".")[2]))
    assert (claims["aud"], claims["sub"]) == (vendor.url, "https://tocsin.example.com")


@pytest.mark.parametrize(
    ("status", "permanent", "gone"),
    [(404, True, True), (410, True, True), (413, True, False), (429, False, False)],
)
def test_refusals(vendor: Vendor, test_settings: Settings, status: int, permanent: bool, gone: bool) -> None:
    configure(test_settings.with_(egress_allow=("127.0.0.1",)))
    vendor.answer("POST", "/p", Answer(status))
    with pytest.raises(Undeliverable) as refused:
        webpush.channel.send(PAGE, address(f"{vendor.url}/p"), CONTEXT)
    assert (refused.value.permanent, refused.value.gone) == (permanent, gone)


def test_addresses_inside_and_broken_keys_are_refused(test_settings: Settings) -> None:
    configure(test_settings.with_(egress_allow=()))
    with pytest.raises(Undeliverable) as inside:
        webpush.channel.send(PAGE, address("http://127.0.0.1:9/push"), CONTEXT)
    assert inside.value.permanent
    with pytest.raises(Undeliverable, match="subscribe it again"):
        webpush.channel.send(PAGE, {**address("https://push.example"), "p256dh": "AAAA"}, CONTEXT)
    with pytest.raises(Undeliverable, match="subscribe it again"):
        webpush.channel.send(PAGE, address("https://push.example"), Context())


def test_the_longest_page_fits_one_record() -> None:
    long = replace(
        PAGE, title="Ж" * 300, text="\U0001f600" * 600, acknowledge="https://t.example/" + "a" * 400
    )
    assert len(webpush.payload(long)) <= web_push.MOST


@pytest.mark.usefixtures("database", "clock")
def test_a_browser_that_is_gone_is_removed_and_its_person_told(
    vendor: Vendor, drain: Callable[..., int]
) -> None:
    configure(settings().with_(egress_allow=("127.0.0.1",)))
    vendor.answer("POST", "/gone", Answer(410))
    with unit_of_work() as uow:
        ana = users.create(uow, SYSTEM, email="ana@example.org", name="Ana", roles=("responder",)).id
        actor = users.actor_of(users.get(uow, ana))
        assert vapid.public_key(uow, actor) == vapid.public_key(uow, actor)
        method = contacts.add(
            uow, actor, user_id=ana, channel="webpush", address=address(f"{vendor.url}/gone")
        )
        assert "gone" not in str(method.address), "the push address is kept sealed"
        step = StepDraft((Target("user", str(ana)),), 300)
        create_policy(uow, SYSTEM, PolicyDraft("critical", (step,), (Target("user", str(ana)),), 0))
        page: UUID = delivery.page(
            uow, SYSTEM, policy="critical", subject=Ref("incident", "x"), title="Beacon", message="", severity=Severity.high,
            path="/",
        ).id  # fmt: skip
    drain()
    with reading() as session:
        assert session.scalars(select(ContactMethod)).one().disabled_at is not None
        states = [(one.channel, one.state) for one in queries.attempts(session, page)]
        assert ("webpush", "failed") in states
        assert any(item.title == "One of your ways is gone" for item in inbox.items(session, ana))
