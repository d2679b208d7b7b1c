"""A mail is read with bounds and without trust: what it says, where its links lead, what it carries."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_mails import PHISH_LINK, forward, phish, plain
from tables_ready import ROOT

from core.errors import Invalid
from ingest import mail_reading
from ingest.mail_markup import text_of_html
from ingest.mail_reading import read

SAMPLES = ROOT.parent / "shared" / "samples"  # real mails, where they are at hand


def test_an_attack_is_read() -> None:
    mail = read(phish().as_bytes())
    assert (mail.sender.name, mail.sender.email) == ("IT Support", "it@evil.example")
    assert [one.email for one in mail.reply_to] == ["collect@other.example"]
    assert mail.claimed == (("spf", "fail"), ("dkim", "none"), ("dmarc", "fail"))
    assert mail.links == (PHISH_LINK, "https://track.evil.example/p.gif")
    assert mail.text == f"Click [{PHISH_LINK}] https://intranet.example.org now"
    assert [one.content[:2] for one in mail.files] == [b"MZ"]
    assert mail.automatic == ""


def test_a_forward_holds_the_mail_it_reports() -> None:
    mail = read(forward().as_bytes())
    assert mail.text == "I clicked it on LAPTOP-7"
    assert mail.files == ()
    inner = read(mail.inner[0])
    assert (inner.message_id, inner.subject) == ("<phish-1@evil.example>", "Your password expires today")
    assert [len(one.content) for one in inner.files] == [64]


@pytest.mark.parametrize(
    ("headers", "automatic"),
    [
        ({"Auto_Submitted": "auto-replied"}, True),
        ({"Auto_Submitted": "no"}, False),
        ({"Precedence": "bulk"}, True),
        ({"X_Auto_Response_Suppress": "All"}, True),
        ({"Return_Path": "<>"}, True),
        ({"Return_Path": "<eva@example.org>"}, False),
        ({}, False),
    ],
)
def test_programs_are_told_from_people(headers: dict[str, str], automatic: bool) -> None:
    assert bool(read(plain(**headers).as_bytes()).automatic) == automatic


def nested(depth: int) -> bytes:
    """A mail in a mail in a mail."""
    head = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(depth)
    )
    return (
        b"From: a@b.example\r\nMessage-ID: <x@b.example>\r\n" + head + b"Content-Type: text/plain\r\n\r\ndeep"
    )


def test_what_is_built_to_break_readers_is_bounded() -> None:
    assert read(nested(20)).cut
    with pytest.raises(Invalid, match="more than"):
        read(nested(5000))
    many = b"From: a@b.example\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + (
        b"--b\r\n\r\nx\r\n" * 4000
    )
    assert len(read(many).text) <= mail_reading.MOST_TEXT
    loud = read(
        b"Subject: =?utf-8?b?"
        + b"A" * 100_000
        + b"?=\r\nFrom: =?nonsense?q?x?= <a@b.example>\r\n\r\n"
        + b"y" * 500_000
    )
    assert len(loud.subject) <= 500
    assert loud.cut


@pytest.mark.parametrize(
    "slow",
    [
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\n" * 2_000_000,
        b"X: y\r\n" * 2_000_000 + b"\r\n",
        b"A: b\r\n\r\n" + b"X: y\r\n" * 2_000_000,
        b"Content-Type: text/plain; " + b"a*0=b; " * 20_000 + b"\r\n\r\nx",
        b"A: b\r\n\r\n" + b"\n" * 20_000_000,
    ],
    ids=["boundaries", "headers", "headers inside", "parameters", "lines"],
)
def test_what_would_keep_the_parser_busy_for_minutes_is_refused(slow: bytes) -> None:
    began = time.monotonic()
    with pytest.raises(Invalid):
        read(slow)
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\0\0\0",
        b"From: \xff\xfe <a@b.example>\r\nSubject: \xff\r\n\r\n\xff",
        b"From: a@b.example\r\nContent-Type: text/plain; charset=nonsense\r\n\r\n\xe4",
        b'From: a@b.example\r\nContent-Type: text/plain; charset="\xff"\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!',
        b"From: <<>>, ,;:\r\nDate: yesterday\r\nMessage-ID: none\r\n\r\n",
        b"Content-Type: message/rfc822\r\n\r\nContent-Type: multipart/mixed\r\n\r\nx",
        b"Content-Disposition: attachment; filename*=utf-8''%ff%00..%2f\r\n\r\nx",
    ],
)
def test_malformed_mails_are_read_or_refused(raw: bytes) -> None:
    mail = read(raw)
    assert "\0" not in mail.subject + mail.sender.name


@given(
    st.binary(max_size=3000),
    st.sampled_from(["", "Content-Type: multipart/mixed; boundary=b\r\n", "Content-Type: text/html\r\n"]),
)
def test_any_bytes_are_read_or_refused(body: bytes, head: str) -> None:
    try:
        mail = read(head.encode() + body)
    except Invalid:
        return
    assert len(mail.text) <= mail_reading.MOST_TEXT


@pytest.mark.parametrize(
    ("markup", "text", "links"),
    [
        ("<a href='javascript:alert(1)'>x</a>", "x", ()),
        ("<svg/onload=alert(1)><p>a<p>b", "a\nb", ()),
        (
            "<a href='https://a.example/?q=1&amp;r=2'>b</a>",
            "[https://a.example/?q=1&r=2] b",
            ("https://a.example/?q=1&r=2",),
        ),
        ("<form action='https://a.example/steal'><input name=p></form>", "", ("https://a.example/steal",)),
        ("<!--" * 20_000, "", ()),
        ("<style>x{}</style><title>t</title>&lt;b&gt;", "<b>", ()),
    ],
)
def test_markup_becomes_text(markup: str, text: str, links: tuple[str, ...]) -> None:
    page = text_of_html(markup)
    assert (page.text, page.links) == (text, links)


def test_real_mails_are_read_as_they_were_checked_by_eye() -> None:
    index = SAMPLES / "INDEX.tsv"
    lines = index.read_text(encoding="utf-8").splitlines() if index.exists() else []
    rows = [line.split("\t") for line in lines if line.startswith("misc/eml/")]
    for row in rows:
        expected = json.loads(row[-1])
        mail = read(Path(SAMPLES / row[0]).read_bytes())
        assert mail.message_id == expected["message_id"], row[0]
        assert mail.subject == " ".join(expected["subject"].split()), row[0]
        assert mail.sender.email in expected["from"], row[0]
        assert {one.name for one in mail.files} == set(expected["attachments"]), row[0]
        assert set(expected["first_urls"]) <= set(mail.links), row[0]
