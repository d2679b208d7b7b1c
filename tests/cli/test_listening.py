"""Listening is refused where it would be unsafe or could not work, with what to do about it."""

import socket
from pathlib import Path

import pytest

from cli import listening
from core import certificates
from core.errors import Invalid
from core.settings import Settings


def load(tmp_path: Path, **env: str) -> Settings:
    return Settings.load({"TOCSIN_DATA_DIR": str(tmp_path), **env})


@pytest.mark.parametrize(
    "env",
    [
        {"TOCSIN_HOST": "127.0.0.1"},
        {"TOCSIN_HOST": "localhost"},
        {"TOCSIN_HOST": "0.0.0.0", "TOCSIN_ALLOW_PLAIN_HTTP": "1"},
        {"TOCSIN_HOST": "10.0.0.5", "TOCSIN_TRUSTED_PROXIES": "10.0.0.1"},
        {"TOCSIN_HOST": "0.0.0.0", "TOCSIN_TLS": "generate"},
    ],
)
def test_what_is_safe_or_was_asked_for_is_allowed(tmp_path: Path, env: dict[str, str]) -> None:
    listening.ready_to(load(tmp_path, **env))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5", "soc.example"])
def test_other_machines_are_not_let_in_in_the_clear(tmp_path: Path, host: str) -> None:
    with pytest.raises(Invalid) as refused:
        listening.ready_to(load(tmp_path, TOCSIN_HOST=host, TOCSIN_ALLOW_PLAIN_HTTP="yes"))
    for way in (
        "TOCSIN_TLS=generate",
        "TOCSIN_TLS_CERTIFICATE",
        "TOCSIN_TRUSTED_PROXIES",
        "TOCSIN_ALLOW_PLAIN_HTTP=1",
    ):
        assert way in refused.value.message


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        certificates.ensure(folder / "c.pem", folder / "k.pem", ["soc.example"])
    both = {"TOCSIN_TLS_CERTIFICATE": str(one / "c.pem"), "TOCSIN_TLS_KEY": str(other / "k.pem")}
    with pytest.raises(Invalid, match=r"c\.pem and .*k\.pem cannot be used"):
        listening.ready_to(load(tmp_path, **both))
    with pytest.raises(Invalid, match="No such file"):
        listening.ready_to(load(tmp_path, **both | {"TOCSIN_TLS_KEY": str(tmp_path / "none")}))
    joined = tmp_path / "joined.pem"
    joined.write_bytes((one / "c.pem").read_bytes() + (one / "k.pem").read_bytes())
    given = load(tmp_path, TOCSIN_TLS_CERTIFICATE=str(joined))
    listening.ready_to(given)
    shown = listening.certificate_of(given)
    assert shown is not None
    assert shown.names == ("soc.example",)


def test_a_port_that_is_taken_is_told_with_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        given = Settings.load({"TOCSIN_DATA_DIR": str(tmp_path), "TOCSIN_PORT": str(port)})
        with pytest.raises(
            Invalid, match=rf"Port {port} of 127.0.0.1 is taken.*ss -ltnp.*TOCSIN_PORT={port + 1}"
        ):
            listening.require_port(given)
    listening.require_port(given)
    elsewhere = Settings.load({"TOCSIN_DATA_DIR": str(tmp_path), "TOCSIN_HOST": "192.0.2.77"})
    with pytest.raises(Invalid, match="Correct TOCSIN_HOST"):
        listening.require_port(elsewhere)
