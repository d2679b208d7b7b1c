"""A directory that stops, drips or never ends its answer is given up in time, and keeps nobody's memory."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from directory_server import Directory as Slapd

from core.net import Egress, NetFailed, NetTimeout, patience
from core.net import ldap
from core.settings import Settings, configure

HERE = Egress(allow=("127.0.0.1",))
ENDLESS = bytes.fromhex("3084000f4240")  # the beginning of a message of a million bytes

Do = Callable[[socket.socket, bytes], None]
Speak = Callable[[Do], str]


@pytest.fixture
def speak(tmp_path: Path) -> Iterator[Speak]:
    """`speak(do)`: the URL of a server that takes one request of each connection and then does this with it."""
    configure(Settings(data_dir=tmp_path, database_url="sqlite://", secret_key=b"x" * 40))
    listeners = []

    def serve(listener: socket.socket, do: Do) -> None:
        while True:
            try:
                connection = listener.accept()[0]
                threading.Thread(target=quietly, args=(do, connection), daemon=True).start()
            except OSError:
                return

    def quietly(do: Do, connection: socket.socket) -> None:
        try:
            do(connection, connection.recv(4096))
        except OSError:
            connection.close()  # given up, as it should be

    def start(do: Do) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        threading.Thread(target=serve, args=(listener, do), daemon=True).start()
        return f"ldap://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for listener in listeners:
        listener.close()


def drip(connection: socket.socket, _asked: bytes) -> None:
    """A byte now and then of a message that never ends: each one is in time."""
    connection.sendall(ENDLESS)
    while True:
        time.sleep(0.1)
        connection.sendall(b"a")


def test_a_directory_that_stops_in_the_middle(ldap_server: Slapd) -> None:
    signed_in = {"user": ldap_server.admin_dn, "password": ldap_server.password, "egress": HERE}
    with ldap.connect(ldap_server.url, timeout=10, total=2, **signed_in) as directory:
        assert directory.search(ldap_server.suffix, "(uid=akim)")
        began = time.monotonic()
        with ldap_server.hung(), pytest.raises(NetTimeout) as caught:
            directory.modify(ldap_server.dn("akim"), {"cn": [(ldap.REPLACE, ["x"])]})
    assert time.monotonic() - began < 9, "it had ten seconds for each answer, and one for all"
    assert caught.value.sent, "whether it was changed nobody knows"


@pytest.mark.parametrize("total", [1, None])
def test_a_byte_now_and_then_does_not_keep_it_going(speak: Speak, total: int | None) -> None:
    url = speak(drip)
    began = time.monotonic()
    drops = ldap.connect(url, egress=HERE, timeout=30, total=total or 30)
    with pytest.raises(NetTimeout), patience.within(60 if total else 1), drops:
        pass
    assert 0.5 < time.monotonic() - began < 20


def test_one_answer_has_its_own_time_too(speak: Speak) -> None:
    url = speak(drip)
    began = time.monotonic()
    with pytest.raises(NetTimeout), ldap.connect(url, egress=HERE, timeout=1, total=30):
        pass
    assert time.monotonic() - began < 20


def test_a_flood_is_cut_off(speak: Speak, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ldap, "MOST_BYTES", 100_000)
    sent: list[int] = []

    def flood(connection: socket.socket, _asked: bytes) -> None:
        connection.sendall(bytes.fromhex("30847fffffff"))
        while True:
            sent.append(connection.send(b"a" * 65_536))

    url = speak(flood)
    with pytest.raises(NetFailed, match="cannot be reached"), ldap.connect(url, egress=HERE):
        pass
    assert sum(sent) < 20_000_000, "the rest was never read"


def test_answers_may_come_in_crumbs(ldap_server: Slapd, speak: Speak) -> None:
    def crumble(connection: socket.socket, first: bytes) -> None:
        """Pass everything on to the real server, and what it says back byte by byte."""
        with socket.create_connection(("127.0.0.1", ldap_server.port)) as real:
            answering = threading.Thread(target=tell, args=(real, connection))
            answering.start()
            asked = first
            while asked:
                real.sendall(asked)
                asked = connection.recv(4096)
            real.shutdown(socket.SHUT_RDWR)
            answering.join(10)

    def tell(real: socket.socket, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):  # whoever asked may have gone
            while said := real.recv(65_536):
                for byte in said:
                    connection.sendall(bytes([byte]))

    signed_in = {"user": ldap_server.admin_dn, "password": ldap_server.password, "egress": HERE}
    with ldap.connect(speak(crumble), timeout=5, **signed_in) as directory:
        assert [found.dn for found in directory.search(ldap_server.suffix, "(uid=akim)")] == [
            ldap_server.dn("akim")
        ]
