"""Where a proxy is the only reason to listen in the clear, nobody comes round it."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from cli import listening, turning_away
from core.settings import Settings

BEHIND = {"TOCSIN_HOST": "0.0.0.0", "TOCSIN_TRUSTED_PROXIES": "10.0.0.1,fd00::/64"}
SPOOFED = {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "https"}


async def whoever(scope: Scope, receive: Receive, send: Send) -> None:
    """Says who it believes is asking."""
    await PlainTextResponse(f"{scope['client'][0]} by {scope['scheme']}")(scope, receive, send)


def load(tmp_path: Path, **env: str) -> Settings:
    return Settings.load({"TOCSIN_DATA_DIR": str(tmp_path), **env})


def asked(given: Settings, peer: str, path: str = "/", **headers: str) -> tuple[int, str]:
    async def ask() -> httpx.Response:
        door: Any = turning_away.front(given, whoever)
        transport = httpx.ASGITransport(door, client=(peer, 4711))
        async with httpx.AsyncClient(transport=transport, base_url="http://tocsin.example") as client:
            return await client.post(path, headers=headers, content=b"{}")

    answer = asyncio.run(ask())
    return answer.status_code, answer.text


@pytest.mark.parametrize("peer", ["203.0.113.9", "10.0.0.2", "2001:db8::1", "::ffff:203.0.113.9", "testclient"])
@pytest.mark.parametrize("path", ["/login", "/ingest/ids", "/readyz"])
def test_strangers_are_turned_away_whatever_they_claim(tmp_path: Path, peer: str, path: str) -> None:
    given = load(tmp_path, **BEHIND)
    status, said = asked(given, peer, path, **SPOOFED)
    assert status == 403
    assert "Tocsin is reached through its proxy only" in said


def test_the_proxy_is_believed_and_this_machine_is_let_in(tmp_path: Path) -> None:
    given = load(tmp_path, **BEHIND)
    through = {**SPOOFED, "X-Forwarded-For": "198.51.100.7"}
    for proxy in ("10.0.0.1", "fd00::5"):
        assert asked(given, proxy, **through) == (200, "198.51.100.7 by https")
    for own in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):  # a container asks after its own health
        assert asked(given, own, "/readyz", **through) == (200, f"{own} by http")


@pytest.mark.parametrize(
    "env",
    [
        BEHIND | {"TOCSIN_ALLOW_PLAIN_HTTP": "1"},
        BEHIND | {"TOCSIN_TLS": "generate"},
        {"TOCSIN_HOST": "127.0.0.1", "TOCSIN_TRUSTED_PROXIES": "127.0.0.1"},
        {"TOCSIN_HOST": "0.0.0.0", "TOCSIN_ALLOW_PLAIN_HTTP": "1"},
    ],
)
def test_with_tls_or_when_told_so_all_are_let_in(tmp_path: Path, env: dict[str, str]) -> None:
    assert asked(load(tmp_path, **env), "203.0.113.9", **SPOOFED) == (200, "203.0.113.9 by http")


def test_who_is_let_in_is_said_at_the_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listening.announce(load(tmp_path, **BEHIND))
    assert "only 10.0.0.1/32, fd00::/64 and this machine are let in" in capsys.readouterr().out
    listening.announce(load(tmp_path, **BEHIND, TOCSIN_ALLOW_PLAIN_HTTP="1"))
    assert "whoever is on the network can read along" in capsys.readouterr().out


def test_what_is_served_stands_behind_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[Any] = []

    class Stopped(Exception):
        """Instead of listening."""

    def keep(app: Any, **options: Any) -> None:
        served.append((app, options["proxy_headers"]))
        raise Stopped

    monkeypatch.setattr("uvicorn.Config", keep)
    monkeypatch.setattr("sys.setswitchinterval", lambda _seconds: None)
    with pytest.raises(Stopped):
        listening.serve(load(tmp_path, **BEHIND), whoever)
    ((app, theirs),) = served
    assert isinstance(app, turning_away.OnlyProxies)
    assert not theirs, "uvicorn would hide who is at the other end"
