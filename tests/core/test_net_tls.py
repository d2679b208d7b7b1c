"""TLS on the way out: the name is checked although the address is pinned."""

import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from core.errors import Invalid
from core.net import Egress, NetFailed, smtp
from core.net.auth import build
from core.net.http import Request, send
from core.net.tls import Tls

RULES = Egress(allow=("127.0.0.1",))


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate that is its own authority, for product.lan."""

    pem: str
    key: str
    path: Path

    def context(self, *, ask: bool = False) -> ssl.SSLContext:
        """A server's context; ask: require a certificate of the same authority."""
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(self.path)
        if ask:
            made.verify_mode = ssl.CERT_REQUIRED
            made.load_verify_locations(cadata=self.pem)
        return made


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "product.lan")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(7).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([
            x509.DNSName("product.lan"), x509.IPAddress(ipaddress.ip_address("127.0.0.2")),
        ]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = made.public_bytes(serialization.Encoding.PEM).decode()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_text(pem + private)
    return Certificate(pem, private, path)


@pytest.fixture(autouse=True)
def _names(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def getaddrinfo(host: str, port: Any, *arguments: Any, **options: Any) -> list[Any]:
        return list(real("127.0.0.1" if host.endswith(".lan") else host, port, *arguments, **options))

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A refused handshake is expected here."""


def serving(context: ssl.SSLContext) -> Iterator[int]:
    server = _Quiet(("127.0.0.1", 0), _Answers)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


@pytest.fixture
def https(certificate: Certificate) -> Iterator[int]:
    yield from serving(certificate.context())


@pytest.fixture
def https_asking(certificate: Certificate) -> Iterator[int]:
    yield from serving(certificate.context(ask=True))


def test_a_private_authority_is_trusted_when_given(https: int, certificate: Certificate) -> None:
    url = f"https://product.lan:{https}/"
    assert send(Request(url=url, tls=Tls(ca=certificate.pem)), egress=RULES).content == b"ok"
    assert send(Request(url=url, tls=Tls(verify=False)), egress=RULES).ok
    with pytest.raises(NetFailed, match="CERTIFICATE_VERIFY_FAILED") as caught:
        send(Request(url=url), egress=RULES)
    assert caught.value.before_send


def test_the_name_is_checked_not_the_address(https: int, certificate: Certificate) -> None:
    with pytest.raises(NetFailed, match="Hostname mismatch") as caught:
        send(Request(url=f"https://other.lan:{https}/", tls=Tls(ca=certificate.pem)), egress=RULES)
    assert not caught.value.sent


def test_our_own_certificate_is_shown(https_asking: int, certificate: Certificate) -> None:
    request = Request(url=f"https://product.lan:{https_asking}/", tls=Tls(ca=certificate.pem))
    auth = build("mtls", {"certificate": certificate.pem, "key": certificate.key})
    assert send(request, auth=auth, egress=RULES).ok
    with pytest.raises(NetFailed):
        send(request, egress=RULES)
    broken = build("mtls", {"certificate": "no PEM", "key": "hunter2"})
    with pytest.raises(Invalid, match="no valid PEM") as caught:
        send(request, auth=broken, egress=RULES)
    assert "hunter2" not in str(caught.value)


ANSWERS = {
    b"EHLO": b"250-mx\r\n250 STARTTLS\r\n",
    b"DATA": b"354 go\r\n",
    b"STAR": b"220 go\r\n",
    b"QUIT": b"221 bye\r\n",
}


def _mail_session(
    connection: socket.socket, context: ssl.SSLContext, implicit: bool, texts: list[bytes]
) -> None:
    if implicit:
        connection = context.wrap_socket(connection, server_side=True)
    connection.sendall(b"220 mx\r\n")
    while line := connection.recv(65536):
        word = line[:4].upper()
        if line.endswith(b"\r\n.\r\n"):
            texts.append(line)
        connection.sendall(ANSWERS.get(word, b"250 ok\r\n"))
        if word == b"STAR":
            connection = context.wrap_socket(connection, server_side=True)
    connection.close()


@pytest.mark.parametrize("implicit", [True, False])
def test_mail_over_tls_checks_the_name(certificate: Certificate, implicit: bool) -> None:
    texts: list[bytes] = []
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for _ in range(3):
            connection = listening.accept()[0]
            with connection, suppress(OSError):
                _mail_session(connection, certificate.context(), implicit, texts)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    message = EmailMessage()
    message["From"], message["To"] = "a@example.org", "b@example.org"
    message.set_content("x")
    scheme, option = ("smtps", "") if implicit else ("smtp", "?starttls=1")
    port = listening.getsockname()[1]
    with listening:
        assert (
            smtp.send(f"{scheme}://product.lan:{port}{option}", message, egress=RULES, ca=certificate.pem)
            == "250 ok"
        )
        with pytest.raises(NetFailed, match=r"do not trust.*other"):
            smtp.send(f"{scheme}://other.lan:{port}{option}", message, egress=RULES, ca=certificate.pem)
        with pytest.raises(NetFailed, match="do not trust"):
            smtp.send(f"{scheme}://product.lan:{port}{option}", message, egress=RULES)
        thread.join(5)
    assert len(texts) == 1
