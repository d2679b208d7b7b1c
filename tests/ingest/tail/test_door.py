"""The tail at a real door: busy, encrypted, somewhere else, gone in between."""

import gzip
import hashlib
import http.server
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from at_certificates import self_signed

from core import certificates
from ingest.tail import following
from ingest.tail.door import Away, Door, TooLarge
from ingest.tail.following import Bookmark, Tail
from ingest.tail.pinning import digests
from ingest.tail.which_lines import Filter

OK = (202, {}, b'{"receipt": "1", "status": "accepted"}')


class FarEnd:
    """A server that answers as told, in turn, and keeps what it heard."""

    def __init__(self, certificate: Path | None = None) -> None:
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.heard: list[tuple[float, dict[str, str], bytes]] = []
        end = self

        class Answer(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                end.heard.append((time.monotonic(), dict(self.headers), gzip.decompress(body)))
                status, headers, said = end.answers.pop(0) if end.answers else OK
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(said))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(said)
                self.close_connection = status == 599 or "Close" in headers

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.server.daemon_threads = True
        scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            scheme = "https"
        self.url = f"{scheme}://127.0.0.1:{self.server.server_port}/ingest/eve"
        self.thread = threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self.thread.start()

    def end(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)


@pytest.fixture
def far_end() -> Iterator[Callable[..., FarEnd]]:
    made: list[FarEnd] = []

    def make(certificate: Path | None = None) -> FarEnd:
        made.append(FarEnd(certificate))
        return made[-1]

    yield make
    for one in made:
        one.end()


@pytest.fixture
def door() -> Iterator[Callable[..., Door]]:
    made: list[Door] = []

    def make(url: str, **options: Any) -> Door:
        made.append(Door(url, lambda: "s3cret", **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_what_is_sent(far_end: Any, door: Any) -> None:
    end = far_end()
    assert door(end.url).post([b'{"a": 1}', b'{"a": 2}'], "tail-1") == {"receipt": "1", "status": "accepted"}
    ((_, headers, body),) = end.heard
    assert body == b'{"a": 1}\n{"a": 2}\n'
    assert {name: headers[name] for name in ("Authorization", "Content-Encoding", "Content-Type", "Idempotency-Key")} == {
        "Authorization": "Bearer s3cret", "Content-Encoding": "gzip", "Content-Type": "application/x-ndjson",
        "Idempotency-Key": "tail-1",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "says", "after"),
    [
        ((503, {"Retry-After": "7"}, b'{"detail": "Too many wait."}'), "503 Too many wait.", 7.0),
        ((429, {"Retry-After": "soon"}, b""), "429 this is not Tocsin's answer", None),
        ((401, {}, b'{"detail": "The token is not one."}'), "401 The token is not one.", None),
        ((302, {"Location": "https://x.example/ingest/eve"}, b""), "it sends us on to https://x.example/ingest/eve", None),
        ((200, {}, b"<html>a captive portal</html>"), "200 this is not Tocsin's answer", None),
        ((200, {}, b"[1]"), "200 this is not Tocsin's answer", None),
    ],
)  # fmt: skip
def test_whatever_is_no_receipt_is_tried_again(
    far_end: Any, door: Any, answer: Any, says: str, after: Any
) -> None:
    end = far_end()
    end.answers = [answer]
    with pytest.raises(Away, match=says) as caught:
        door(end.url).post([b"{}"], "k")
    assert caught.value.after == after


def test_too_large_is_told_apart(far_end: Any, door: Any) -> None:
    end = far_end()
    end.answers = [(413, {}, b"{}")]
    with pytest.raises(TooLarge):
        door(end.url).post([b"{}"], "k")


def test_an_idle_connection_that_was_closed_is_opened_again(far_end: Any, door: Any) -> None:
    end = far_end()
    end.answers = [(202, {"Close": "1"}, OK[2])] * 2
    one = door(end.url)
    one.post([b"{}"], "k1")
    one.post([b"{}"], "k2")
    assert [headers["Idempotency-Key"] for _, headers, _ in end.heard] == ["k1", "k2"]
    end.server.shutdown()
    end.server.server_close()
    with pytest.raises(Away, match="ConnectionRefusedError"):
        one.post([b"{}"], "k3")


def test_an_own_authority_or_a_known_fingerprint_and_nothing_else(
    far_end: Any, door: Any, tmp_path: Path
) -> None:
    certificate, fingerprint = self_signed(tmp_path, "127.0.0.1")
    end = far_end(certificate)
    assert door(end.url, ca=str(certificate)).post([b"{}"], "k")["receipt"]
    colons = "sha256:" + ":".join(fingerprint[n : n + 2] for n in range(0, 64, 2)).upper()
    assert door(end.url, pin=colons).post([b"{}"], "k")["receipt"]
    key = certificates.read(certificate).key  # the same after a renewal
    assert door(end.url, pin=key).post([b"{}"], "k")["receipt"]
    heard = len(end.heard)
    with pytest.raises(Away, match="CERTIFICATE_VERIFY_FAILED"):
        door(end.url).post([b"{}"], "k")
    with pytest.raises(
        Away, match=f"has the fingerprint {fingerprint}, not the one of --pin; nothing was sent"
    ):
        door(end.url, pin=hashlib.sha256(b"another").hexdigest()).post([b"{}"], "k")
    assert len(end.heard) == heard, "the secret must not be told to a stranger"
    with pytest.raises(SystemExit, match="64 hexadecimal digits"):
        door(end.url, pin="abc")


# An issuer whose length is left open would put what stands inside it where a key is looked for.
HIDDEN_KEY = bytes.fromhex("3012301002010130003080300030003003020101")


def test_what_is_no_certificate_has_the_digest_of_its_bytes_only() -> None:
    for odd in (b"", b"0", b"0\x82", b"\x30\x03\x02\x01\x01", b"x" * 300, b"\x30\x84\xff\xff\xff\xff", HIDDEN_KEY):
        assert digests(odd) == (hashlib.sha256(odd).hexdigest(),), odd


@pytest.mark.parametrize(
    "url", ["tocsin.example.org/ingest/x", "https://tocsin.example.org/", "ftp://x/ingest/y"]
)
def test_an_address_that_cannot_be_right_is_refused(url: str) -> None:
    with pytest.raises(SystemExit, match="give the source's whole address"):
        Door(url, lambda: "s")


def test_it_waits_as_long_as_it_is_asked_to_and_drops_nothing(
    far_end: Any,
    door: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(following, "LONGEST_WAIT", 0.2)
    end = far_end()
    busy = b'{"detail": "Too many deliveries are waiting to be stored; send this one again."}'
    end.answers = [(503, {"Retry-After": "1"}, busy), (500, {}, b"oops"), (202, {}, OK[2])]
    file = tmp_path / "alerts.json"
    file.touch()
    tail = Tail([str(file)], door(end.url), Bookmark(str(tmp_path / "state"), "a"), Filter([]))
    file.write_text('{"n": 1}\n')
    assert tail.run(0, once=True, patience=30)
    tail.close()
    times = [at for at, _, _ in end.heard]
    assert times[1] - times[0] >= 1.0
    assert times[2] - times[1] >= 0.1
    assert {headers["Idempotency-Key"] for _, headers, _ in end.heard} == {end.heard[0][1]["Idempotency-Key"]}
    said = capsys.readouterr().err
    assert "not taken, and tried again: 503 Too many deliveries" in said
    assert "taken again after" in said
