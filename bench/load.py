"""Sends alerts over HTTP from a process of its own: wrk when it is installed, else a small client of ours."""

import asyncio
import json
import re
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

from bench import wrk

# In a body these stand for what differs from one request to the next; all are as long as what replaces them.
NAME, SERIAL, HOST = "@NAME-IS-16-LONG", "@SERIAL-IS-19-LONG-", "@H"


@dataclass(frozen=True)
class Load:
    """What to send: `duplicates` of 100 requests repeat one of 100 alerts; `rate` a second, or as fast as it goes (0).

    `body` is a template of bodies (see `body_for`); `seed` makes the alerts of one load differ from another's.
    """

    url: str
    token: str
    body: str
    clients: int = 16
    seconds: float = 6.0
    rate: float = 0.0
    duplicates: int = 0
    seed: int = 0


@dataclass(frozen=True)
class Sent:
    """What came of it: accepted (2xx) and refused, how long it took (s), and answer times (ms)."""

    accepted: int
    refused: int
    seconds: float
    p50: float
    p99: float
    longest: float

    @property
    def rate(self) -> float:
        """Accepted requests a second."""
        return self.accepted / self.seconds


def body_for(product: str) -> str:
    """One alert of about 1 KiB as "tocsin" or "alerta" reads it: the same name, host, severity and filling."""
    host, filling = f"host-{HOST}.example.org", "x" * 780
    title = f"Unusual outbound connection {NAME}"
    if product == "alerta":
        alert = {
            "environment": "Production", "resource": host, "event": NAME, "severity": "major", "service": ["network"],
            "origin": "bench", "text": title, "value": SERIAL, "rawData": filling,
            "attributes": {"src": "10.20.30.40", "dest": "203.0.113.77"},
        }  # fmt: skip
    else:
        alert = {
            "id": NAME, "serial": SERIAL, "title": title, "severity": "high", "host": host, "src_ip": "10.20.30.40",
            "dest_ip": "203.0.113.77", "details": filling,
        }  # fmt: skip
    return json.dumps(alert)


def name_of(load: Load, number: int) -> str:
    """The name of the alert in the nth request: one of the repeated ones, or one of its own."""
    place = number % 100
    if place < load.duplicates:
        return f"d{place:015d}"
    return f"u{load.seed % 10_000:05d}{number:010d}"


def filled(load: Load, number: int) -> bytes:
    """The body of the nth request."""
    name = name_of(load, number)
    serial = f"{load.seed % 10_000:06d}-{number:012d}"
    return load.body.replace(NAME, name).replace(SERIAL, serial).replace(HOST, f"{number % 100:02d}").encode()


def head_of(load: Load) -> str:
    """The head of every request; without a token it proves nothing."""
    address = urlsplit(load.url)
    proof = f"Authorization: Bearer {load.token}\r\n" if load.token else ""
    return (
        f"POST {address.path} HTTP/1.1\r\nHost: {address.netloc}\r\n{proof}Content-Type: application/json\r\n"
        f"Content-Length: {len(load.body)}\r\n\r\n"
    )


def send(load: Load) -> Sent:
    """Send it all and report; requests that answer anything but 2xx count as refused."""
    if load.rate == 0 and shutil.which("wrk"):
        return Sent(*wrk.run(load, head_of(load), {NAME: "name", SERIAL: "serial", HOST: "host"}))
    with sending(load) as process:
        said, _ = process.communicate()
    if process.returncode:
        raise SystemExit("the client failed; see above")
    return Sent(**json.loads(said))


def sending(load: Load) -> "subprocess.Popen[str]":
    """Our own client as a process: its output is a Sent as JSON; its input, when closed, does not matter."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.load"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(asdict(load)) + "\n")
    process.stdin.flush()
    return process


class _Client:
    """All connections of one load, in turn or at a rate."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.next = 0
        self.accepted = 0
        self.refused = 0
        self.times: list[float] = []

    async def run(self) -> Sent:
        """Send until the time is over."""
        started = time.perf_counter()
        await asyncio.gather(*(self._connection(started) for _ in range(self.load.clients)))
        took = time.perf_counter() - started
        self.times.sort()
        p50, p99 = (self.times[int(len(self.times) * part)] * 1e3 for part in (0.5, 0.99))
        return Sent(self.accepted, self.refused, took, p50, p99, self.times[-1] * 1e3)

    async def _connection(self, started: float) -> None:
        load, address = self.load, urlsplit(self.load.url)
        assert address.hostname
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        head = head_of(load).encode()
        while True:
            number = self.next
            self.next += 1
            due = started + (number / load.rate if load.rate else 0.0)
            if max(due, time.perf_counter()) >= started + load.seconds:
                break
            if (early := due - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            begun = time.perf_counter()
            writer.write(head + filled(load, number))
            answer = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", answer, re.IGNORECASE)
            await reader.readexactly(int(length[1]) if length else 0)
            # At a rate, waiting for a free connection counts: that is what a sender would feel.
            self.times.append(time.perf_counter() - (due if load.rate else begun))
            if answer[9:10] == b"2":
                self.accepted += 1
            else:
                self.refused += 1
        writer.close()


if __name__ == "__main__":
    import uvloop

    print(json.dumps(asdict(uvloop.run(_Client(Load(**json.loads(sys.stdin.readline()))).run()))))
