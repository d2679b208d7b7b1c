"""Amazon's SNS at the edge: a certificate authority of its own, an HTTPS server under Amazon's name, signed messages.

A process started with `env()` reaches this server where it would reach sns.eu-west-1.amazonaws.com, and trusts its
authority; everything else in that process is as always, its checks of names and addresses included.
"""

import base64
import json
import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from vendor_server import Answer, Vendor

HOST = "sns.eu-west-1.amazonaws.com"
SIGNING = f"https://{HOST}/SimpleNotificationService-0123abcd.pem"
_DETOUR = """
import socket
look_up, connect = socket.getaddrinfo, socket.create_connection
def getaddrinfo(host, port, *more, **named):
    return look_up("127.0.0.1" if host == {host!r} else host, port, *more, **named)
def create_connection(address, *more, **named):
    return connect(("127.0.0.1", {port}) if address[1] == 443 else address, *more, **named)
socket.getaddrinfo, socket.create_connection = getaddrinfo, create_connection
"""


class FakeAmazon:
    """Answers for Amazon until stopped; `calls` are the paths that were asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        authority, self._key = _key(), _key()
        ca = _certificate("Test authority", authority, "Test authority", authority, is_authority=True)
        served = _certificate(HOST, (key := _key()), "Test authority", authority)
        signing = _certificate("sns.amazonaws.com", self._key, "Test authority", authority)
        (folder / "ca.pem").write_bytes(_pem(ca))
        (folder / "server.pem").write_bytes(_pem(served) + _pem_of_key(key))
        self.vendor = Vendor()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem")
        self.vendor.speak_tls(context)
        self.vendor.answer("GET", SIGNING.removeprefix(f"https://{HOST}"), Answer(body=_pem(signing)))
        self.vendor.answer("GET", "/", Answer(body=b"<ConfirmSubscriptionResponse/>"))
        (folder / "detour").mkdir()
        detour = _DETOUR.format(host=HOST, port=self.vendor.port)
        (folder / "detour" / "sitecustomize.py").write_text(detour, encoding="utf-8")
        self.vendor.start()

    @property
    def calls(self) -> list[str]:
        """What was asked for, in order."""
        return [call.path for call in self.vendor.calls]

    def env(self) -> dict[str, str]:
        """What a process needs to reach this Amazon."""
        paths = [str(self.folder / "detour"), os.environ.get("PYTHONPATH", "")]
        return {
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "SSL_CERT_FILE": str(self.folder / "ca.pem"),
        }

    def message(self, kind: str, topic: str, text: str, serial: int = 1) -> dict[str, Any]:
        """A message as Amazon SNS posts it, signed (version 2: SHA-256 with RSA)."""
        message = {
            "Type": kind, "MessageId": f"165545c9-2a5c-472c-8df2-7ff2be2b3b{serial:02d}", "TopicArn": topic, "Message": text,
            "Timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"), "SignatureVersion": "2",
            "SigningCertURL": SIGNING,
        }  # fmt: skip
        names = ["Message", "MessageId", "Timestamp", "TopicArn", "Type"]
        if kind == "SubscriptionConfirmation":
            token = "2336412f37fb687f5d51e6e2425c464de8c2"
            link = f"https://{HOST}/?Action=ConfirmSubscription&TopicArn={topic}&Token={token}"
            message |= {"Token": token, "SubscribeURL": link}
            names = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
        signed = "".join(f"{name}\n{message[name]}\n" for name in names).encode()
        signature = self._key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        return {**message, "Signature": base64.b64encode(signature).decode()}

    def headers(self, message: dict[str, Any]) -> dict[str, str]:
        """The headers Amazon sends with it."""
        return {
            "Content-Type": "text/plain; charset=UTF-8", "User-Agent": "Amazon Simple Notification Service Agent",
            "x-amz-sns-message-type": message["Type"], "x-amz-sns-message-id": message["MessageId"],
            "x-amz-sns-topic-arn": message["TopicArn"],
        }  # fmt: skip

    def body(self, message: dict[str, Any]) -> str:
        """The message as it is posted."""
        return json.dumps(message, indent=2)

    def stop(self) -> None:
        """Stop answering."""
        self.vendor.stop()


def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _certificate(
    name: str, key: rsa.RSAPrivateKey, issuer: str, signer: rsa.RSAPrivateKey, *, is_authority: bool = False
) -> x509.Certificate:
    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    now = datetime.now(UTC)
    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=is_authority, crl_sign=is_authority, content_commitment=False,
        key_encipherment=not is_authority, data_encipherment=False, key_agreement=False, encipher_only=False,
        decipher_only=False,
    )  # fmt: skip
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    theirs = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(named(name)).issuer_name(named(issuer)).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(usage, critical=True).add_extension(own, critical=False).add_extension(theirs, critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name.replace(" ", "-"))]), critical=False)
        .sign(signer, hashes.SHA256())
    )  # fmt: skip


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _pem_of_key(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
