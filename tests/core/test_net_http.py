"""HTTP by the egress rules: real servers, mocked ones, and every way it can fail."""

import gzip
import socket
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import respx
from vendor_server import Answer, Call, Vendor

from core.errors import Invalid
from core.net import Egress, NetFailed, NetRefused, NetTimeout, ResponseTooLarge
from core.net.auth.simple import Bearer
from core.net.http import Request, Timeout, send

HERE = Egress(allow=("127.0.0.1",))


@respx.mock
def test_respx_can_stand_in_for_a_product() -> None:
    route = respx.post("https://api.example.com/v1/hosts", params={"dry": "1"}, json={"host": "db1"}).respond(
        201, json={"id": 7}
    )
    request = Request(
        method="POST",
        url="https://api.example.com/v1/hosts",
        params={"dry": 1, "absent": None},
        json={"host": "db1"},
    )
    response = send(request, egress=Egress())
    assert (response.status, response.json(), response.ok) == (201, {"id": 7}, True)
    assert route.calls.last.request.headers["user-agent"] == "Tocsin"


@respx.mock
@pytest.mark.parametrize(("trouble", "kind", "sent"), [
    (httpx.ConnectError("no"), NetFailed, False),
    (httpx.ConnectTimeout("no"), NetTimeout, False),
    (httpx.ReadTimeout("no"), NetTimeout, True),
    (httpx.RemoteProtocolError("no"), NetFailed, True),
    (httpx.WriteError("no"), NetFailed, True),
])  # fmt: skip
def test_what_was_surely_not_sent_is_told_apart(
    trouble: Exception, kind: type[NetFailed], sent: bool
) -> None:
    respx.get("https://hooks.example.com/secret-path").mock(side_effect=trouble)
    with pytest.raises(kind) as caught:
        send(Request(url="https://hooks.example.com/secret-path?key=s3cret"), egress=Egress())
    assert caught.value.sent is sent
    assert "secret" not in str(caught.value)
    assert "https://hooks.example.com" in str(caught.value)


@respx.mock
@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://169.254.169.254/latest",
        "http://[::ffff:127.0.0.1]/",
        "http://2130706433/",
    ],
)
def test_forbidden_addresses_are_refused_even_when_mocked(url: str) -> None:
    route = respx.route()
    with pytest.raises(NetRefused) as caught:
        send(Request(url=url), egress=Egress(allow_private=True))
    assert caught.value.before_send
    assert not route.called


def test_a_real_exchange(vendor: Vendor) -> None:
    vendor.answer("POST", "/a", Answer(202, {"ok": True}, {"X-Id": "9"}))
    response = send(
        Request(method="POST", url=f"{vendor.url}/a", form={"x": "1"}, headers={"X-Mine": "2"}), egress=HERE
    )
    assert (response.status, response.headers["x-id"], response.json()) == (202, "9", {"ok": True})
    call = vendor.calls[0]
    assert (call.body, call.headers["X-Mine"], call.headers["Host"]) == (
        b"x=1",
        "2",
        f"127.0.0.1:{vendor.port}",
    )


def test_a_name_is_pinned_to_the_address_that_was_judged(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, *_: object, **__: object) -> list[Any]:
        if host != "127.0.0.1":  # connecting to a literal asks too, and learns nothing
            asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    url = f"http://product.lan:{vendor.port}/x"
    send(Request(url=url), egress=Egress(allow=("127.0.0.1", "pinned-once.test")))
    assert asked == ["product.lan"]
    assert vendor.calls[0].headers["Host"] == f"product.lan:{vendor.port}"
    with pytest.raises(NetRefused, match="loopback"):
        send(Request(url=url), egress=Egress(allow_private=True))
    with pytest.raises(NetRefused, match="muzzled"):
        send(Request(url="https://example.com"), egress=Egress(muzzled=True))
    assert len(vendor.calls) == 1


def test_redirects_are_answers_unless_asked_for(vendor: Vendor) -> None:
    vendor.answer("GET", "/old", Answer(302, headers={"Location": "/new"}))
    assert send(Request(url=f"{vendor.url}/old"), egress=HERE).status == 302
    assert send(Request(url=f"{vendor.url}/old", redirects=1), egress=HERE).status == 200
    vendor.answer("GET", "/old", Answer(302, headers={"Location": "http://169.254.169.254/latest/meta-data"}))
    with pytest.raises(NetRefused, match="metadata"):
        send(Request(url=f"{vendor.url}/old", redirects=3), egress=HERE)


@respx.mock
def test_credentials_do_not_follow_to_another_host() -> None:
    respx.get("https://a.example/x").respond(307, headers={"Location": "https://b.example/y"})
    other = respx.get("https://b.example/y").respond(200)
    request = Request(
        url="https://a.example/x", redirects=2, headers={"X-Api-Key": "k", "Accept": "text/plain"}
    )
    send(request, auth=Bearer(token="t"), egress=Egress())
    headers = other.calls.last.request.headers
    assert "authorization" not in headers
    assert "x-api-key" not in headers
    assert headers["accept"] == "text/plain"
    respx.get("https://a.example/x").respond(302, headers={"Location": "http://a.example/y"})
    with pytest.raises(NetRefused, match="without TLS"):
        send(request, egress=Egress())


def test_answers_are_capped_compressed_or_not(vendor: Vendor) -> None:
    vendor.answer("GET", "/big", Answer(200, b"x" * 5000))
    with pytest.raises(ResponseTooLarge) as caught:
        send(Request(url=f"{vendor.url}/big", max_response=4999), egress=HERE)
    assert (caught.value.answered, caught.value.sent) == (200, True)
    assert len(send(Request(url=f"{vendor.url}/big", max_response=5000), egress=HERE).content) == 5000
    vendor.answer("GET", "/bomb", Answer(200, gzip.compress(b"0" * 50_000_000), {"Content-Encoding": "gzip"}))
    with pytest.raises(ResponseTooLarge):
        send(Request(url=f"{vendor.url}/bomb"), egress=HERE)
    vendor.answer("GET", "/zip", Answer(200, gzip.compress(b'{"a": 1}'), {"Content-Encoding": "gzip"}))
    assert send(Request(url=f"{vendor.url}/zip"), egress=HERE).json() == {"a": 1}
    vendor.answer("GET", "/bad", Answer(200, b"not gzip", {"Content-Encoding": "gzip"}))
    with pytest.raises(NetFailed, match="damaged"):
        send(Request(url=f"{vendor.url}/bad"), egress=HERE)


def test_a_slow_product_times_out_as_unknown(vendor: Vendor) -> None:
    vendor.answer("POST", "/slow", Answer(delay=1.0))
    with pytest.raises(NetTimeout) as caught:
        send(Request(method="POST", url=f"{vendor.url}/slow", timeout=Timeout(read=0.2)), egress=HERE)
    assert caught.value.sent
    assert len(vendor.calls) == 1


def served(answer: Callable[[socket.socket], None]) -> int:
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listening, listening.accept()[0] as connection:
            connection.recv(65536)
            answer(connection)

    threading.Thread(target=serve, daemon=True).start()
    return int(listening.getsockname()[1])


def test_a_connection_cut_after_the_request_is_unknown() -> None:
    port = served(lambda connection: None)
    with pytest.raises(NetFailed, match="broke off") as caught:
        send(Request(method="POST", url=f"http://127.0.0.1:{port}/"), egress=HERE)
    assert caught.value.sent


def test_a_trickled_answer_ends_at_the_total_time() -> None:
    def trickle(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        pause = threading.Event()
        for _ in range(30):
            try:
                connection.sendall(b"x")
            except OSError:
                return
            pause.wait(0.05)

    port = served(trickle)
    with pytest.raises(NetTimeout, match="did not finish") as caught:
        send(Request(url=f"http://127.0.0.1:{port}/", timeout=Timeout(total=0.3)), egress=HERE)
    assert caught.value.sent


@pytest.mark.parametrize("request_", [
    Request(url="ftp://example.com/"), Request(url="not a url"), Request(url="https://user:hunter2@example.com/"),
    Request(url="https://example.com/", headers={"X": "a\r\nY: b"}), Request(url="http://exa\nmple.com"),
])  # fmt: skip
def test_what_cannot_be_sent_at_all(request_: Request) -> None:
    with pytest.raises(Invalid) as caught:
        send(request_, egress=Egress())
    assert "hunter2" not in str(caught.value)


def test_an_answer_that_is_not_json_says_so(vendor: Vendor) -> None:
    vendor.answer("GET", "/html", Answer(200, b"<html>\xe9", {"Content-Type": "text/html; charset=latin-1"}))
    response = send(Request(url=f"{vendor.url}/html"), egress=HERE)
    assert response.text == "<html>é"
    with pytest.raises(NetFailed, match="not JSON") as caught:
        response.json()
    assert caught.value.sent


def test_no_cookie_is_kept_between_requests(vendor: Vendor) -> None:
    vendor.answer("GET", "/c", Answer(200, headers={"Set-Cookie": "sid=1; Path=/"}))
    assert send(Request(url=f"{vendor.url}/c"), egress=HERE).cookies == ("sid=1; Path=/",)
    send(Request(url=f"{vendor.url}/c"), egress=HERE)
    assert "Cookie" not in vendor.calls[1].headers


def test_the_callers_see_one_call_each(vendor: Vendor) -> None:
    def count(call: Call) -> Answer:
        return Answer(200, {"path": call.path})

    vendor.answer("GET", "/n", count)
    threads = [
        threading.Thread(target=send, args=(Request(url=f"{vendor.url}/n"),), kwargs={"egress": HERE})
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(vendor.calls) == 8
