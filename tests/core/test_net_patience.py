"""Whoever says a byte now and then is given up as soon as whoever says nothing."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from core.net import NetTimeout, http, patience, smtp
from core.net.egress import Egress
from core.settings import Settings, configure

HERE = Egress(allow=("127.0.0.1",))
Drip = Callable[[bytes], int]


@pytest.fixture
def drip(tmp_path: Path) -> Iterator[Drip]:
    """`drip(greeting)`: a port where a server greets, and from then on says a letter every tenth of a second for ever."""
    configure(Settings(data_dir=tmp_path, database_url="sqlite://", secret_key=b"x" * 40))
    over = threading.Event()
    servers = []

    def talk(connection: socket.socket, greeting: bytes) -> None:
        try:
            connection.sendall(greeting)
            while not over.wait(0.1):
                connection.sendall(b"a")
        except OSError:
            return  # given up, as it should be
        finally:
            connection.close()

    def serve(listener: socket.socket, greeting: bytes) -> None:
        while not over.is_set():
            try:
                connection = listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=talk, args=(connection, greeting), daemon=True).start()

    def start(greeting: bytes) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        servers.append(listener)
        threading.Thread(target=serve, args=(listener, greeting), daemon=True).start()
        port: int = listener.getsockname()[1]
        return port

    yield start
    over.set()
    for listener in servers:
        listener.close()


def test_a_header_that_never_ends(drip: Drip) -> None:
    limit = http.Timeout(connect=1, read=1, total=1)
    began = time.monotonic()
    with pytest.raises(NetTimeout) as error:
        http.send(
            http.Request(url=f"http://127.0.0.1:{drip(b'HTTP/1.1 200 OK')}/", timeout=limit), egress=HERE
        )
    assert time.monotonic() - began < 15
    assert error.value.sent


def test_a_limit_around_several_exchanges(drip: Drip) -> None:
    limit = http.Timeout(connect=30, read=30, total=30)
    began = time.monotonic()
    with pytest.raises(NetTimeout), patience.within(1):
        http.send(http.Request(url=f"http://127.0.0.1:{drip(b'')}/", timeout=limit), egress=HERE)
    assert time.monotonic() - began < 15
    assert patience.left(7.0) == 7.0, "the limit ends with its block"


@pytest.mark.parametrize("greeting", [b"220 ", b"220 here\r\n250-"])
def test_a_mail_server_that_never_comes_to_its_point(drip: Drip, greeting: bytes) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"] = "a@example.org", "b@example.org"
    began = time.monotonic()
    with pytest.raises(NetTimeout) as error:
        smtp.send(f"smtp://127.0.0.1:{drip(greeting)}", mail, timeout=0.6, egress=HERE)
    assert time.monotonic() - began < 15
    assert not error.value.sent
