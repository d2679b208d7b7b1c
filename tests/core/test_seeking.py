"""A value is found in a file in whatever encoding it stands there, across parts too, and nothing else is taken for it."""

import base64
import html
import quopri

import pytest

from core.seeking import Seeker

SECRET = 'hunter2&"Grüße"/0815'
LINE = f"the password is {SECRET}, they said"
HIDDEN = {
    "plain": LINE.encode(),
    "latin-1": LINE.encode("latin-1"),
    "UTF-16 with a mark": LINE.encode("utf-16"),
    "UTF-16, big end first": LINE.encode("utf-16-be"),
    "base64": base64.b64encode(LINE.encode()),
    "base64, one byte further": base64.b64encode(b"x" + LINE.encode()),
    "base64, two bytes further": base64.b64encode(b"xy" + LINE.encode()),
    "base64 in lines": base64.encodebytes((LINE * 3).encode()),
    "base64 for addresses": base64.urlsafe_b64encode(("???>>>" + LINE).encode()),
    "base64 of UTF-16": base64.b64encode(LINE.encode("utf-16-le")),
    "quoted-printable": quopri.encodestring(LINE.encode()),
    "quoted-printable, folded": LINE.encode().replace(b"ter2", b"te=\r\nr2"),
    "HTML": f"<p>{html.escape(LINE)}</p>".encode(),
    "HTML with tags in it": f"<p>{html.escape(SECRET).replace('ter2', 't<b>er</b>2')}</p>".encode(),
    "HTML in quoted-printable": quopri.encodestring(f"<p>{html.escape(LINE)}</p>".encode()),
    "HTML in UTF-16": "<p>hunter2&amp;&quot;Grüße&quot;/0815</p>".encode("utf-16"),
    "JSON": b'{"a": "hunter2&\\"Gr\\u00fc\\u00dfe\\"\\/0815"}',
    "a form": b"p=hunter2%26%22Gr%C3%BC%C3%9Fe%22%2F0815",
    "hex": SECRET.encode().hex().encode(),
    "on two quoted lines": LINE.encode().replace(b"Gr", b"\r\n> Gr"),
}


@pytest.mark.parametrize("way", HIDDEN)
def test_it_is_found(way: str) -> None:
    padded = b"\n" * 3001 + HIDDEN[way] + b"\nand so on\n" * 99
    assert Seeker(SECRET).raw(padded)
    if not way.startswith("UTF-16"):
        parts = [padded[start : start + 11] for start in range(0, len(padded), 11)]
        assert Seeker(SECRET).stream(parts), "also when it lies across parts"


@pytest.mark.parametrize("other", ['hunter3&"Grüße"/0815', "hunter2", "", "Grüße" * 500, "<" * 5000, "&#" * 5000, "=" * 5000])
def test_nothing_else_is(other: str) -> None:
    for content in (other.encode(), base64.b64encode(other.encode()), other.encode("utf-16")):
        assert not Seeker(SECRET).raw(content)


def test_a_value_of_several_lines_is_found_as_one() -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEFAASC\n-----END KEY-----"
    seeker = Seeker(key)
    assert seeker.raw(key.encode())
    assert seeker.raw(key.replace("\n", "\r\n").encode())
    assert seeker.raw(("> " + key.replace("\n", "\n> ")).encode())
    assert seeker.raw(base64.b64encode(key.encode()))
    assert not seeker.raw(key.replace("MII", "MIJ").encode())
