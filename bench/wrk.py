"""Has wrk send a load: the cheapest client there is, so that what is measured is the server."""

import re
import subprocess
import tempfile
from pathlib import Path
from typing import Protocol


class _Load(Protocol):
    @property
    def url(self) -> str: ...
    @property
    def body(self) -> str: ...
    @property
    def clients(self) -> int: ...
    @property
    def seconds(self) -> float: ...
    @property
    def duplicates(self) -> int: ...
    @property
    def seed(self) -> int: ...


# The request is one concatenation: no formatting, no searching, while it runs.
_LUA = """
local n = 0
local head = "%(head)s"
local duplicates = %(duplicates)d
function request()
  n = n + 1
  local name
  local place = n %% 100
  if place < duplicates then name = string.format("d%%015d", place)
  else name = string.format("u%(seed)05d%%010d", n) end
  local serial = string.format("%(seed)06d-%%012d", n)
  local host = string.format("%%02d", place)
  return head .. %(parts)s
end
function done(summary, latency)
  local bad = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout
  io.write(string.format("RESULT %%d %%d %%f %%f %%f %%f\\n", summary.requests - summary.errors.status, bad,
    summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3))
end
"""


def run(load: _Load, head: str, variables: dict[str, str]) -> tuple[int, int, float, float, float, float]:
    """Send the load; `variables` says which of name, serial and host replaces which mark of its body.

    Returns accepted, refused, seconds, and the p50, p99 and longest answer in ms.
    """
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "alerts.lua")
        script.write_text(_script(load, head, variables), encoding="utf-8")
        done = subprocess.run(
            ["wrk", "-t1", f"-c{load.clients}", f"-d{round(load.seconds)}s", "--timeout", "30s",
             "-s", str(script), load.url], capture_output=True, text=True, check=True,
        )  # fmt: skip
    found = re.search(r"^RESULT (.+)$", done.stdout, re.MULTILINE)
    assert found, done.stdout
    accepted, refused, seconds, p50, p99, longest = map(float, found[1].split())
    return int(accepted), int(refused), seconds, p50, p99, longest


def _script(load: _Load, head: str, variables: dict[str, str]) -> str:
    pieces = re.split("(" + "|".join(map(re.escape, variables)) + ")", load.body)
    parts = " .. ".join(variables.get(piece) or f"[==[{piece}]==]" for piece in pieces if piece)
    return _LUA % {
        "head": head.replace("\r\n", "\\r\\n"), "parts": parts, "duplicates": load.duplicates, "seed": load.seed % 10_000,
    }  # fmt: skip
