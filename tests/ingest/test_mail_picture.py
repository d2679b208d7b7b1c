"""The picture of a mail is drawn offline and within limits, whatever the mail is."""

import os
import pwd
import socket
import subprocess
import sys
import threading
import time
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest
from sample_mails import forward, plain
from tables_ready import ROOT

from core.errors import Invalid, TooMany
from ingest import mail_drawing, mail_picture, mail_sheet
from ingest.mail_picture import Picture


def drawn(raw: bytes) -> Picture:
    return mail_picture.of(raw, {})


def html(markup: str, **headers: str) -> bytes:
    """A mail of HTML."""
    mail = EmailMessage(policy=SMTP)
    for name, value in ({"From": "a@evil.example", "Subject": "Hello"} | headers).items():
        mail[name] = value
    mail.set_content(markup, subtype="html")
    return mail.as_bytes()


def test_a_forward_shows_the_words_and_the_mail_inside() -> None:
    made = drawn(forward().as_bytes())
    for words in (
        "I clicked it on LAPTOP-7", "== The mail inside ==", "IT Support <it[@]evil[.]example>", "Answers go to: collect[@]other[.]example",
        "https://intranet.example.org", "<leads to hxxps://login[.]evil[.]example/reset?u=eva – another place than its words say>",
        "[image, not loaded] hxxps://track[.]evil[.]example/p.gif", "in[U+202E]voice.pdf (Windows program",
    ):  # fmt: skip
        assert words in made.text, words
    assert "alert(1)" not in made.text
    assert (made.width, made.height > 300) == (1000, True)


def test_words_are_the_readers() -> None:
    words = dict.fromkeys(mail_sheet.WORDS, "palabra")
    assert mail_picture.of(plain().as_bytes(), words).text.startswith("palabra: My laptop was stolen")


@pytest.mark.parametrize(
    "raw",
    [
        html("<p>" + "The invoice is due. " * 250_000),  # five megabytes
        html("<div>" * 90_000 + "deep"),
        html("<table><tr><td>" * 20_000 + "deep"),
        html('<p style="font-size:9000px">HUGE</p>' * 3000),
        html("<b>" + "\u0628\u0301\u202e" * 8000),
        html('<img src="data:image/png;base64,' + "A" * 2_000_000 + '">' * 3),
        html('#import "@preview/x:1.0.0" #read("/etc/passwd") $x$ \\u{41} *b* `c` <label> @ref // /*'),
        plain("\u202e" + "A" * 5000, "W" * 400_000).as_bytes(),
        plain("emoji \U0001f514\u200d\U0001f525", "\u0645\u0631\u062d\u0628\u0627 \u4f60\u597d\n" * 900).as_bytes(),
        b"From: a@b.example\r\nSubject: x\r\nContent-Type: text/html; charset=utf-7\r\n\r\n+ADw-b+AD4-\x00\xff\xfe\r\n",
        b"From: a@b.example\r\nContent-Type: multipart/alternative; boundary=x\r\n\r\n--x\r\nContent-Type: text/html\r\n\r\n<p>cut",
        b"Subject: =?utf-8?b?////?=\r\nFrom: <<>>\r\n\r\n",
    ],
    ids=["five-megabytes", "deep", "deep-tables", "huge-letters", "marks", "data-uri", "typst", "long-words", "scripts", "charset",
         "no-end", "no-headers"],
)  # fmt: skip
def test_hostile_mails_are_drawn_within_their_limits(raw: bytes) -> None:
    began = time.monotonic()
    made = drawn(raw)
    assert time.monotonic() - began < mail_picture.PATIENCE
    assert len(made.png) < mail_drawing.MOST_BYTES
    assert made.width == 1000
    assert made.height <= 12_000


def test_nothing_is_asked_of_anybody() -> None:
    asked: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        there = f"http://127.0.0.1:{server.getsockname()[1]}"
        ended = threading.Event()

        def listen() -> None:
            while not ended.is_set():
                try:
                    peer, where = server.accept()
                except TimeoutError:
                    continue
                asked.append(str(where))
                peer.close()

        listening = threading.Thread(target=listen)
        listening.start()
        try:
            made = drawn(
                html(
                    f'<link rel=stylesheet href="{there}/a.css"><style>@import "{there}/b.css"; p{{background:url({there}/c)}}</style>'
                    f'<img src="{there}/d.png"><iframe src="{there}/e"></iframe><object data="{there}/f"></object>'
                    f'<body background="{there}/g"><video poster="{there}/h"></video> #image("{there}/i")'
                )
            )
        finally:
            ended.set()
            listening.join()
    assert "/d.png" in made.text
    assert asked == []


def test_what_cannot_be_drawn_says_so_and_leaves_nothing_running(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Invalid, match="No picture of this mail"):
        drawn(b"Content-Type: multipart/mixed; boundary=" + b"x" * 50_000 + b"\r\n\r\n")
    monkeypatch.setattr(mail_picture, "PATIENCE", 0.01)
    with pytest.raises(Invalid, match="takes too long"):
        drawn(plain().as_bytes())
    monkeypatch.setattr(mail_picture, "MOST_MAIL", 10)
    with pytest.raises(Invalid, match="too large"):
        drawn(plain().as_bytes())


def test_only_so_many_are_drawn_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail_picture, "WAIT", 0.01)
    for _ in range(mail_picture.AT_ONCE):
        mail_picture._turns.acquire()
    try:
        with pytest.raises(TooMany):
            drawn(plain().as_bytes())
    finally:
        for _ in range(mail_picture.AT_ONCE):
            mail_picture._turns.release()


def test_who_draws_has_no_network_of_ours_and_is_not_root() -> None:
    script = (
        "import os, socket; from ingest import mail_drawing as m; m.limit(); m.alone(); "
        "there = os.readlink('/proc/self/ns/net'); m.drop(); print(os.geteuid(), there)"
    )
    ways = (["unshare", "--net", "true"], ["unshare", "--user", "--net", "true"])
    lets_us = any(subprocess.run(way, capture_output=True, check=False).returncode == 0 for way in ways)
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    uid, _, network = told.stdout.strip().partition(" ")
    if os.geteuid() == 0:
        assert int(uid) == pwd.getpwnam("nobody").pw_uid
    else:
        assert int(uid) != 0
    assert (network == str(Path("/proc/self/ns/net").readlink())) is not lets_us


def test_where_nobody_may_change_priorities_a_mail_is_drawn_all_the_same() -> None:
    """As under the systemd unit: its filter of system calls refuses setpriority()."""
    script = (
        "import os, resource\ndef refused(by):\n raise PermissionError(by)\nos.nice = refused\n"
        "from ingest import mail_drawing as m; m.limit(); print(resource.getrlimit(resource.RLIMIT_CPU)[0])"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert int(told.stdout) == mail_drawing.SECONDS
