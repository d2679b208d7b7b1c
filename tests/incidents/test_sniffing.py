"""What a file is, is told from its bytes, whatever its name says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidents.attachments import clean_name
from incidents.sniffing import kind_of

MAIL = (
    b"Received: from mx.example.org\r\n by example.com\r\nFrom: a@example.org\r\nSubject: Invoice\r\n\r\nHi"
)


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (b"MZ\x90\x00" + b"\0" * 60, "application/vnd.microsoft.portable-executable"),
        (b"\x7fELF\x02\x01\x01", "application/x-elf"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 500, "application/x-ole-storage"),
        (b"PK\x03\x04\x14\0", "application/zip"),
        (b"\n\n%PDF-1.7\n%\xe2\xe3", "application/pdf"),
        (b"\x89PNG\r\n\x1a\n\0\0", "image/png"),
        (b"\0" * 257 + b"ustar\0", "application/x-tar"),
        (MAIL, "message/rfc822"),
        (b"Authentication-Results:\r\n mx.example.org; spf=fail\r\n" + MAIL, "message/rfc822"),
        (MAIL + b"\r\nM\xfcnchen \0", "message/rfc822"),  # letters of any kind
        (b"From here on it is only text: believe me\nand more\n", "text/plain"),
        (b"<!DOCTYPE html><script>alert(1)</script>", "text/html"),
        (b"#!/bin/sh\nrm -rf /\n", "text/x-script"),
        ("größer als".encode()[:3], "text/plain"),  # cut in the middle of a letter
        ("Zeile\r\n".encode("utf-16"), "text/plain"),
        (b"caf\xe9 and more in latin-1", "application/octet-stream"),
        (b"a\0b", "application/octet-stream"),
        (b"", "text/plain"),
    ],
)
def test_kinds(head: bytes, media_type: str) -> None:
    assert kind_of(head).media_type == media_type


@given(st.binary(max_size=600))
def test_any_bytes_are_of_some_kind(head: bytes) -> None:
    assert kind_of(head).says


@pytest.mark.parametrize(
    ("given_name", "name"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\x\\invoice.exe", "invoice.exe"),
        ("in\u202evoice\u202cfdp.exe", "in_voice_fdp.exe"),
        ('a"b<c>.txt\r\n', "a_b_c_.txt__"),
        ("..", "file"),
        ("", "file"),
        ("x" * 400 + ".docm", "x" * 180 + ".docm"),
    ],
)
def test_names_hold_no_tricks(given_name: str, name: str) -> None:
    assert clean_name(given_name) == name


@given(st.text(max_size=400))
def test_any_name_fits(text: str) -> None:
    name = clean_name(text)
    assert 0 < len(name) <= 200
    assert "/" not in name
    assert "\\" not in name
