"""Proofs of origin hold for what was sent and for nothing else."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from ingest.verify import (
    ProofKind,
    Trust,
    bearer_token,
    digest,
    hmac_matches,
    secret_matches,
    sns_canonical,
    sns_signature_problem,
    sns_url_problem,
    trust_of,
)

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def certificate(key, *, start=NOW - timedelta(days=1), end=NOW + timedelta(days=30)) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(start)
        .not_valid_after(end)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


def notification(version: str = "2", **changes: str) -> dict[str, str]:
    message = {
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": "arn:aws:sns:eu-west-1:123456789012:guard",
        "Subject": "Héllo",
        "Message": '{"detail": "line\\none"}',
        "Timestamp": "2026-03-02T08:59:59.000Z",
        "SignatureVersion": version,
        **changes,
    }
    return signed(message)


def signed(message: dict[str, str]) -> dict[str, str]:
    algorithm = hashes.SHA1() if message["SignatureVersion"] == "1" else hashes.SHA256()
    signature = KEY.sign(sns_canonical(message), padding.PKCS1v15(), algorithm)
    return {**message, "Signature": base64.b64encode(signature).decode()}


def test_the_canonical_text_of_a_notification_is_amazons():
    message = {
        "Type": "Notification", "MessageId": "id", "TopicArn": "arn", "Message": "my test", "Timestamp": "then",
        "SigningCertURL": "left out", "UnsubscribeURL": "left out",
    }  # fmt: skip
    expected = b"Message\nmy test\nMessageId\nid\nTimestamp\nthen\nTopicArn\narn\nType\nNotification\n"
    assert sns_canonical(message) == expected
    with_subject = sns_canonical({**message, "Subject": "about"})
    assert with_subject == expected.replace(b"Timestamp\n", b"Subject\nabout\nTimestamp\n")


def test_the_canonical_text_of_a_confirmation_has_token_and_address():
    message = {
        "Type": "SubscriptionConfirmation", "MessageId": "id", "TopicArn": "arn", "Message": "m", "Timestamp": "then",
        "Token": "t", "SubscribeURL": "u",
    }  # fmt: skip
    assert sns_canonical(message) == (
        b"Message\nm\nMessageId\nid\nSubscribeURL\nu\nTimestamp\nthen\nToken\nt\nTopicArn\narn\n"
        b"Type\nSubscriptionConfirmation\n"
    )


@pytest.mark.parametrize("version", ["1", "2"])
def test_amazons_signature_holds(version):
    assert sns_signature_problem(notification(version), certificate(KEY), NOW) is None


@pytest.mark.parametrize("name", ["Message", "MessageId", "Subject", "Timestamp", "TopicArn"])
def test_a_changed_message_is_not_amazons(name):
    message = {**notification(), name: "changed"}
    assert sns_signature_problem(message, certificate(KEY), NOW) == "the signature does not match the message"


def test_a_signature_needs_a_valid_rsa_certificate_and_a_known_version():
    message = notification()
    assert "not valid at" in str(sns_signature_problem(message, certificate(KEY), NOW + timedelta(days=60)))
    assert sns_signature_problem(message, certificate(rsa.generate_private_key(65537, 2048)), NOW)
    assert "no RSA key" in str(
        sns_signature_problem(message, certificate(ec.generate_private_key(ec.SECP256R1())), NOW)
    )
    assert "neither 1 nor 2" in str(
        sns_signature_problem({**message, "SignatureVersion": "3"}, certificate(KEY), NOW)
    )
    assert "not base64" in str(sns_signature_problem({**message, "Signature": "é"}, certificate(KEY), NOW))
    assert "cannot be read" in str(sns_signature_problem(message, b"no certificate", NOW))


@pytest.mark.parametrize(
    ("url", "fine"),
    [
        ("https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-1.pem", True),
        ("https://sns.us-gov-west-1.amazonaws.com/x.pem", True),
        ("https://sns.cn-north-1.amazonaws.com.cn/x.pem", True),
        ("http://sns.eu-west-1.amazonaws.com/x.pem", False),
        ("https://sns.eu-west-1.amazonaws.com:8443/x.pem", False),
        ("https://sns.eu-west-1.amazonaws.com.evil.test/x.pem", False),
        ("https://evil.test/sns.eu-west-1.amazonaws.com/x.pem", False),
        ("https://sns.eu-west-1.amazonaws.com@evil.test/x.pem", False),
        ("https://evilsns.eu-west-1.amazonaws.com/x.pem", False),
        ("https://bucket.s3.amazonaws.com/x.pem", False),
        ("https://sns.eu-west-1.amazonaws.com/x.txt", False),
        ("https://sns.eu-west-1.amazonaws.com/x.pem?y=.pem", False),
        ("https://[", False),
        (None, False),
    ],
)
def test_only_amazons_own_address_may_be_fetched(url, fine):
    assert (sns_url_problem(url, certificate=True) is None) is fine


def test_githubs_own_example_of_a_signature_holds():
    # docs.github.com: "Validating webhook deliveries", testing the webhook payload validation
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert hmac_matches(b"Hello, World!", signature, ["It's a Secret to Everybody"])
    assert not hmac_matches(b"Hello, World?", signature, ["It's a Secret to Everybody"])
    assert not hmac_matches(
        b"Hello, World!", signature.removeprefix("sha256="), ["It's a Secret to Everybody"]
    )


@given(st.binary(), st.text(min_size=1), st.text(min_size=1))
def test_either_of_two_live_secrets_signs(body, old, new):
    for secret in (old, new):
        mac = hmac.new(secret.encode(), body, hashlib.sha256)
        assert hmac_matches(body, mac.hexdigest().upper(), [old, new], prefix="")
        assert hmac_matches(body, base64.b64encode(mac.digest()).decode(), [old, new], prefix="")
    assert not hmac_matches(body, "", [old, new], prefix="")
    assert not hmac_matches(body, mac.hexdigest(), [], prefix="")


@given(st.text())
def test_what_is_no_credential_gives_no_token(header):
    token = bearer_token(header)
    assert token is None or token in header or header.lower().lstrip().startswith("basic")


def test_a_token_is_read_from_what_tools_send():
    assert bearer_token("Bearer abc") == "abc"
    assert bearer_token("bearer  abc ") == "abc"
    assert bearer_token("Basic " + base64.b64encode(b"tocsin:abc:d").decode()) == "abc:d"
    assert bearer_token("Basic !!!") is None
    assert bearer_token("Digest abc") is None
    assert bearer_token(None) is None


def test_only_live_tokens_match():
    assert secret_matches("one", [digest("two"), digest("one")])
    assert not secret_matches("three", [digest("two"), digest("one")])
    assert not secret_matches("one", [])


def test_trust_comes_from_the_proof_and_can_only_be_lowered():
    assert trust_of(ProofKind.URL_TOKEN) is Trust.LOW
    assert trust_of(ProofKind.URL_TOKEN, Trust.HIGH) is Trust.LOW
    assert trust_of(ProofKind.HMAC) is Trust.HIGH
    assert trust_of(ProofKind.HMAC, Trust.LOW) is Trust.LOW
    assert trust_of(ProofKind.BEARER) is Trust.NORMAL
