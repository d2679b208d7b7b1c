"""Tocsin as an operator runs it: processes of its own, a free port, a data directory, spoken to over HTTP."""

import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import postgres_once
import pytest
from free_ports import free_port
from tables_ready import ROOT

COMMAND = str(Path(sys.executable).with_name("tocsin"))
_ANY_CERTIFICATE = ssl._create_unverified_context()  # only to ask whether it is there


class Tocsin:
    """One installation: its environment, its processes, and a client for its address."""

    def __init__(self, data: Path, **env: str) -> None:
        self.data = data
        self.port = free_port()
        self.tls = any(name.startswith("TOCSIN_TLS") for name in env)
        self.url = f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
        self.env = {
            **kept,
            "TOCSIN_DATA_DIR": str(data),
            "TOCSIN_HOST": "127.0.0.1",
            "TOCSIN_PORT": str(self.port),
            "TOCSIN_EGRESS_ALLOW": "127.0.0.0/8,::1/128",
            "TOCSIN_PLAYBOOKS": str(ROOT / "playbooks.yaml"),
            "PYTHONUNBUFFERED": "1",
            **env,
        }
        self.log = data / "processes.log"
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._clients: list[httpx.Client] = []

    def start(self, *commands: str, seconds: float = 90.0) -> "Tocsin":
        """Start `serve` (or the given commands as processes) and wait until /readyz answers 200."""
        self.data.mkdir(parents=True, exist_ok=True)
        for command in commands or ("serve",):
            with self.log.open("ab") as log:
                self._running[command] = subprocess.Popen(
                    [COMMAND, *command.split()], env=self.env, cwd=ROOT, stdout=log, stderr=log
                )
        if {"serve", "web"} & self._running.keys():
            self._until_ready(seconds)
        return self

    def kill(self, *commands: str) -> None:
        """SIGKILL to all (or the given) processes."""
        self._end(signal.SIGKILL, commands)

    def stop(self, *commands: str) -> float:
        """SIGTERM to all (or the given) processes; returns how many seconds they took to end."""
        started = time.monotonic()
        self._end(signal.SIGTERM, commands)
        return time.monotonic() - started

    def pid(self, command: str = "serve") -> int:
        """The process id of a running command."""
        return self._running[command].pid

    def run(self, *arguments: str, input: str | None = None) -> str:  # noqa: A002 - subprocess's name
        """Run a `tocsin` command to its end and return what it printed; fails with its error text."""
        done = subprocess.run(
            [COMMAND, *arguments], env=self.env, cwd=ROOT, input=input, capture_output=True, text=True, timeout=120,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"tocsin {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    def json(self, *arguments: str) -> Any:
        """Run a command with --json and decode what it printed."""
        return json.loads(self.run(*arguments, "--json"))

    def client(self, **options: Any) -> httpx.Client:
        """An HTTP client for this installation, which trusts its own certificate alone; closed with it at the latest."""
        own = self.data / "tls" / "certificate.pem"
        if own.exists():
            options.setdefault("verify", ssl.create_default_context(cafile=str(own)))
        given = {"base_url": self.url, "timeout": 30, "trust_env": False, **options}
        self._clients.append(httpx.Client(**given))
        return self._clients[-1]

    def end(self) -> None:
        """Kill what runs and close every client: the end of a test."""
        self.kill()
        while self._clients:
            self._clients.pop().close()

    def _end(self, how: signal.Signals, commands: tuple[str, ...]) -> None:
        ending = [
            self._running.pop(name) for name in (commands or tuple(self._running)) if name in self._running
        ]
        for process in ending:
            process.send_signal(how)
        for process in ending:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise AssertionError(
                    f"it did not stop within 20 s of {how.name}; its log:\n{self._tail()}"
                ) from None

    def _until_ready(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while True:
            if self._answers_ready():
                return
            ended = [name for name, process in self._running.items() if process.poll() is not None]
            if ended or time.monotonic() > end:
                raise AssertionError(f"Tocsin is not ready ({ended or 'too slow'}); its log:\n{self._tail()}")
            time.sleep(0.05)

    def _answers_ready(self) -> bool:
        connection = (
            http.client.HTTPSConnection("127.0.0.1", self.port, timeout=5, context=_ANY_CERTIFICATE)
            if self.tls
            else http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        )
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False  # not listening yet
        finally:
            connection.close()

    def _tail(self) -> str:
        return self.log.read_text(errors="replace")[-4000:] if self.log.exists() else ""


@pytest.fixture
def tocsin(tmp_path: Path) -> Iterator[Callable[..., Tocsin]]:
    """Makes installations: `tocsin(TOCSIN_SMTP_URL=…)`, not yet started; all are killed at the end."""
    made: list[Tocsin] = []

    def make(**env: str) -> Tocsin:
        made.append(Tocsin(tmp_path / f"tocsin-{len(made)}", **env))
        return made[-1]

    yield make
    for installation in made:
        installation.end()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tocsin]:
    """`tocsin serve` on SQLite, ready; one for all tests of a file, so each test rings with a source of its own."""
    installation = Tocsin(tmp_path_factory.mktemp("running") / "data").start()
    yield installation
    installation.end()


@pytest.fixture
def new_postgres() -> Iterator[Callable[[], str]]:
    """Makes empty PostgreSQL databases and returns their addresses."""
    made: list[str] = []

    def make() -> str:
        made.append(f"install_{os.getpid()}_{free_port()}_{len(made)}")
        return postgres_once.create(made[-1])

    yield make
    for name in made:
        postgres_once.drop(name)
