"""Our own certificate is made once, kept while it is good, and made anew with the same key before it ends."""

import ssl
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import load_pem_x509_certificate
from held_time import HeldClock

from core import certificates
from core.errors import Invalid

NAMES = ["soc.example", "192.0.2.7", "2001:db8::7", "localhost"]


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "tls" / "certificate.pem", tmp_path / "tls" / "key.pem"


def test_it_is_made_once_for_all_names_and_its_key_is_read_by_nobody_else(files: tuple[Path, Path]) -> None:
    assert certificates.ensure(*files, NAMES)
    first = certificates.read(files[0])
    assert set(first.names) == set(NAMES)
    assert first.self_signed
    assert (
        first.fingerprint
        == load_pem_x509_certificate(files[0].read_bytes()).fingerprint(hashes.SHA256()).hex(":").upper()
    )
    assert files[1].stat().st_mode & 0o077 == 0
    assert not certificates.ensure(*files, NAMES[:2])
    assert certificates.read(files[0]) == first
    ssl.create_default_context(cafile=str(files[0]))  # a reader may trust it by its file


def test_before_it_ends_and_for_a_new_name_it_is_made_anew_with_the_same_key(
    files: tuple[Path, Path], clock: HeldClock
) -> None:
    certificates.ensure(*files, NAMES)
    first = certificates.read(files[0])
    clock.advance(timedelta(days=360))
    assert not certificates.ensure(*files, [])
    clock.advance(timedelta(days=10))
    assert certificates.ensure(*files, [])
    second = certificates.read(files[0])
    assert second.ends > first.ends
    assert set(second.names) == set(NAMES)
    assert certificates.ensure(*files, ["soc-2.example"])
    assert set(certificates.read(files[0]).names) == {*NAMES, "soc-2.example"}
    assert certificates.read(files[0]).key == first.key  # whoever pinned the key goes on
    assert second.fingerprint != first.fingerprint


def test_what_was_cut_off_is_made_anew(files: tuple[Path, Path]) -> None:
    certificates.ensure(*files, NAMES)
    for path in files:
        path.write_bytes(path.read_bytes()[:50])
    assert certificates.ensure(*files, NAMES)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*files)


def test_what_is_no_certificate_is_said(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="cannot be read"):
        certificates.read(tmp_path / "none.pem")
    (tmp_path / "no.pem").write_text("no", encoding="ascii")
    with pytest.raises(Invalid, match="holds no certificate"):
        certificates.read(tmp_path / "no.pem")
