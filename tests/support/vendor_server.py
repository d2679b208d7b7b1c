"""A fake product reached over real HTTP: answers what a test says and keeps a ledger of every call it received."""

import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from free_ports import PATIENT, wait_until


@dataclass(frozen=True)
class Call:
    """One request as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


@dataclass
class Answer:
    """What to answer; `delay` in seconds, before answering and after the call is in the ledger."""

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0


class Vendor:
    """Answers 200 `{}` to everything until told otherwise; the ledger outlives any crash of Tocsin."""

    def __init__(self) -> None:
        self._answers: dict[tuple[str, str], Answer | Callable[[Call], Answer]] = {}
        self._calls: list[Call] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    @property
    def calls(self) -> list[Call]:
        """Every call so far, in order of arrival."""
        with self._lock:
            return list(self._calls)

    def answer(self, method: str, path: str, answer: Answer | Callable[[Call], Answer]) -> None:
        """From now on answer this way to a method and path (without its query)."""
        self._answers[method, path] = answer

    def wait_for(self, count: int, seconds: float = PATIENT) -> list[Call]:
        """The calls, once there are at least `count`."""
        wait_until(lambda: len(self.calls) >= count, seconds=seconds, what=f"{count} calls to the vendor")
        return self.calls

    def speak_tls(self, context: ssl.SSLContext) -> None:
        """Answer over TLS only; to be said before `start`."""
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen."""
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def take(self, call: Call) -> Answer:
        """Enter a call into the ledger and decide its answer."""
        with self._lock:
            self._calls.append(call)
        found = self._answers.get((call.method, call.path.partition("?")[0]), Answer())
        return found(call) if callable(found) else found


def _handler(vendor: Vendor) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer = vendor.take(Call(self.command, self.path, dict(self.headers.items()), body))
            time.sleep(answer.delay)
            content = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _any

        def handle(self) -> None:
            """A caller that was killed in the middle is expected here."""
            try:
                super().handle()
            except (BrokenPipeError, ConnectionResetError):
                return

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Say nothing; the ledger is the log."""

    return Handler
