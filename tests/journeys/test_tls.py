"""Tocsin speaks TLS itself: the certificate it says, cookies kept to it, fresh files without a restart, proxies believed."""

import hashlib
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from browsing import Browser
from free_ports import wait_until
from ringing import Bell, count
from running_tocsin import COMMAND, Tocsin

from core import certificates

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def served(installation: Tocsin) -> str:
    """The SHA-256 fingerprint of what is served now."""
    pem = ssl.get_server_certificate(("127.0.0.1", installation.port))
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).digest().hex(":").upper()


def test_it_makes_a_certificate_says_its_fingerprint_and_keeps_cookies_to_tls(
    tocsin: Callable[..., Tocsin], tmp_path: Path
) -> None:
    running = tocsin(TOCSIN_TLS="generate", TOCSIN_TRUSTED_PROXIES="127.0.0.1").start()
    log = running.log.read_text(encoding="utf-8")
    assert f"Tocsin is ready on https://localhost:{running.port}" in log
    assert running.url.startswith("https://")
    shown = served(running)
    assert f"SHA-256 fingerprint {shown}" in log

    running.run("init", "--email", "ana@example.org", "--password", "a sentence to remember")
    browser = Browser(running)
    assert browser.sign_in("ana@example.org", "a sentence to remember").path == "/"
    answer = browser.client.get("/settings")
    assert shown in answer.text
    assert answer.headers["strict-transport-security"].startswith("max-age=")
    assert [cookie.secure for cookie in browser.client.cookies.jar if cookie.name == "tocsin_session"] == [
        True
    ]

    bell = Bell(running)
    alert = tmp_path / "alert.json"
    alert.write_text(json.dumps({"title": "By our own command"}), encoding="utf-8")
    assert "accepted" in running.run(
        "send",
        str(alert),
        "--source",
        bell.name,
        "--token",
        bell.headers["Authorization"].removeprefix("Bearer "),
    )

    # A proxy's word on the client's address is believed, so ten people behind it are not one who guesses.
    for number in range(8):
        with running.client(headers={"X-Forwarded-For": f"spoofed, 198.51.100.{number}"}) as stranger:
            refused = stranger.post("/login", data={"email": "nobody@example.org", "password": "wrong"})
            assert refused.status_code == 401, number
    assert count(running, "SELECT count(*) FROM sign_in_failures WHERE key LIKE 'from:%'") == 8

    # Another certificate in the same place is served after SIGHUP; half of one is not.
    files = running.data / "tls" / "certificate.pem", running.data / "tls" / "key.pem"
    other = tmp_path / "other.pem", tmp_path / "other.key"
    certificates.ensure(*other, ["127.0.0.1", "soc.example"])
    shutil.copy(other[0], files[0])
    os.kill(running.pid(), signal.SIGHUP)
    wait_until(
        lambda: "the old one is served" in running.log.read_text(encoding="utf-8"), what="the complaint"
    )
    assert served(running) == shown
    shutil.copy(other[1], files[1])
    os.kill(running.pid(), signal.SIGHUP)
    wait_until(lambda: served(running) == certificates.read(other[0]).fingerprint, what="the new certificate")
    assert running.stop() < 5


def test_nobody_else_is_believed_and_plain_http_elsewhere_is_refused(tocsin: Callable[..., Tocsin]) -> None:
    refused = tocsin(TOCSIN_HOST="0.0.0.0")
    for command in ("serve", "demo"):
        done = subprocess.run(
            [COMMAND, command], env=refused.env, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 1
        assert re.search(
            r"TOCSIN_TLS=generate.*TOCSIN_TRUSTED_PROXIES.*TOCSIN_ALLOW_PLAIN_HTTP=1", done.stderr, re.DOTALL
        )
        assert "Traceback" not in done.stderr

    running = tocsin(TOCSIN_HOST="0.0.0.0", TOCSIN_ALLOW_PLAIN_HTTP="1").start()
    log = running.log.read_text(encoding="utf-8")
    assert "whoever is on the network can read along" in log
    assert "Tocsin is ready on http://127." not in log
    assert "Tocsin is ready on http://localhost" not in log
    with running.client(
        headers={"X-Forwarded-For": "198.51.100.9", "X-Forwarded-Proto": "https"}
    ) as stranger:
        answer = stranger.post("/login", data={"email": "nobody@example.org", "password": "wrong"})
        assert "strict-transport-security" not in answer.headers
    with running.client() as plain:
        plain.post("/login", data={"email": "nobody@example.org", "password": "wrong"})
    assert count(running, "SELECT count(*) FROM sign_in_failures WHERE key LIKE 'from:%'") == 1, "the same place"
    assert count(running, "SELECT sum(failures) FROM sign_in_failures WHERE key LIKE 'from:%'") == 2
