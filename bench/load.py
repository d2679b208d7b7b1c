"""Sends alerts over HTTP from a process of its own: wrk when it is installed, else a small client of ours."""

import asyncio
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Load:
    """What to send: `duplicates` of 100 requests repeat one of 100 alerts; `seconds` long, or `total` requests."""

    url: str
    token: str
    clients: int = 16
    seconds: float = 8.0
    total: int = 0
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
    client: str

    @property
    def rate(self) -> float:
        """Accepted requests a second."""
        return self.accepted / self.seconds


def alert(name: str, serial: str = "") -> bytes:
    """One alert of about 1 KiB; the same `name` is the same alert, `serial` tells deliveries apart."""
    return json.dumps(
        {
            "id": name,
            "serial": serial,
            "title": f"Unusual outbound connection {name}",
            "severity": "low",
            "host": f"host-{name[-2:]}.example.org",
            "src_ip": "10.20.30.40",
            "dest_ip": "203.0.113.77",
            "details": "x" * 780,
        }
    ).encode()


def send(load: Load) -> Sent:
    """Send it all and report; requests that answer anything but 2xx count as refused."""
    if load.total == 0 and shutil.which("wrk"):
        return _wrk(load)
    done = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        input=json.dumps(asdict(load)),
        capture_output=True,
        text=True,
        check=True,
    )
    return Sent(**json.loads(done.stdout))


_LUA = """
local n, made, thread = 0, 0, 0
function setup(t) t:set("id", thread); thread = thread + 1 end
local body = [[%(body)s]]
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer %(token)s"
function request()
  n = n + 1
  local name
  if (n %% 100) < %(duplicates)d then name = "dup-" .. (n %% 100) else name = "%(seed)d-" .. id .. "-" .. n end
  return wrk.format(nil, nil, nil, (body:gsub("NAME", name):gsub("SERIAL", "%(seed)d-" .. id .. "-" .. n)))
end
function done(summary, latency)
  local bad = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout
  io.write(string.format("RESULT %%d %%d %%f %%f %%f\\n", summary.requests - summary.errors.status, bad,
    summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""


def _wrk(load: Load) -> Sent:
    values = {
        "body": alert("NAME", "SERIAL").decode(), "token": load.token, "duplicates": load.duplicates, "seed": load.seed
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "alerts.lua")
        script.write_text(_LUA % values)
        done = subprocess.run(
            ["wrk", "-t1", f"-c{load.clients}", f"-d{load.seconds:g}s", "-s", str(script), load.url],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    found = re.search(r"^RESULT (.+)$", done.stdout, re.MULTILINE)
    assert found, done.stdout
    accepted, refused, seconds, p50, p99 = map(float, found[1].split())
    return Sent(int(accepted), int(refused), seconds, p50, p99, "wrk")


async def _client(load: Load, number: int, state: dict[str, int], times: list[float]) -> None:
    address = urlsplit(load.url)
    assert address.hostname
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    end = time.perf_counter() + load.seconds
    while (state["next"] < load.total) if load.total else (time.perf_counter() < end):
        n = state["next"]
        state["next"] += 1
        name = f"dup-{n % 100}" if n % 100 < load.duplicates else f"{load.seed}-{number}-{n}"
        body = alert(name, f"{load.seed}-{n}")
        started = time.perf_counter()
        writer.write(
            f"POST {address.path} HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer {load.token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        await reader.readexactly(int(length[1]) if length else 0)
        times.append(time.perf_counter() - started)
        state["accepted" if head[9:10] == b"2" else "refused"] += 1
    writer.close()


async def _own(load: Load) -> Sent:
    state, times = {"next": 0, "accepted": 0, "refused": 0}, list[float]()
    started = time.perf_counter()
    await asyncio.gather(*(_client(load, number, state, times) for number in range(load.clients)))
    took = time.perf_counter() - started
    times.sort()
    p50, p99 = (times[int(len(times) * part)] * 1e3 for part in (0.5, 0.99))
    return Sent(state["accepted"], state["refused"], took, p50, p99, "own")


if __name__ == "__main__":
    import uvloop

    print(json.dumps(asdict(uvloop.run(_own(Load(**json.load(sys.stdin)))))))
