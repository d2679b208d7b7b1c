"""A mail's HTML as blocks: where links lead stands beside their words, what is hidden is said, and nothing grows without end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import mail_blocks, mail_sheet
from ingest.mail_blocks import Flow, of_html, of_text
from ingest.mail_runs import leads_elsewhere

WORDS = mail_sheet.WORDS


def flow(markup: str) -> Flow:
    return of_html(markup, WORDS, {"logo": ("logo.png", 2048)})


def told(markup: str) -> list[str]:
    """Each block in short: its kind and its runs, targets after an arrow, remarks in brackets."""
    signs = {"text": "{}", "target": "→{}", "note": "[{}]"}
    return [
        f"{block.kind}: "
        + "".join(signs[run.kind].format(run.text.replace("\u200b", "")) for run in block.runs)
        for block in flow(markup).blocks
        if block.kind != "gap"
    ]


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ("<p>one<p>two", ["text: one", "text: two"]),
        ("<h1>Big</h1>small", ["heading: Big", "text: small"]),
        ("<ul><li>a<li>b</ul>", ["item: a", "item: b"]),
        ("<blockquote>said <b>so</b></blockquote>", ["quote: said so"]),
        ("<pre>a\n  b</pre>", ["code: a", "code:   b"]),
        ("a<hr>b", ["text: a", "rule: ", "text: b"]),
        ('<a href="https://evil.example/x">Sign in</a>', ["text: Sign in→hxxps://evil[.]example/x"]),
        ('<a href="javascript:alert(1)">x</a>', ["text: x→javascript:alert(1)"]),
        ('<a href="https://evil.example/"><img src="cid:logo" alt="Bank"></a>', ["image: [image, not loaded]logo.png, 2 KiB “Bank”", "text: →hxxps://evil[.]example/"]),
        ('<img src="https://t.example/p.gif" width=1 height=1>', ["image: [counting pixel, not loaded]hxxps://t[.]example/p.gif, 1 × 1"]),
        ('<img src="data:image/svg+xml;base64,QUJDRA==">', ["image: [image, not loaded]in the mail itself (image/svg+xml), 6 B"]),
        ('<form action="http://evil.example/p"><input name=user><input type=password name=pw><input type=submit value=Go></form>',
         ["text: [what is typed below goes to hxxp://evil[.]example/p]", "field: [asks for]user", "field: [asks for a password]pw", "button: Go"]),
        ("<script>alert(1)</script><style>p{}</style><title>t</title>seen", ["text: seen"]),
        ("<!-- no --><svg><text>words</text></svg>seen", ["text: seen"]),
        ("a\u202egpj.exe", ["text: a[U+202E]gpj.exe"]),
        ("x" + "&zwnj;&nbsp;" * 60 + "y", ["text: x[60 invisible letters]y"]),
        ("a&#0;b\x00c", ["text: a\ufffdbc"]),
    ],
)  # fmt: skip
def test_what_is_seen(markup: str, expected: list[str]) -> None:
    assert told(markup) == expected


@pytest.mark.parametrize(
    ("markup", "why"),
    [
        ('<div style="display:none">x</div>', "not displayed"),
        ("<p hidden>x</p>", "not displayed"),
        ('<span style="font-size:0px">x</span>', "too small to read"),
        ('<span style="FONT-SIZE: 1px !important">x</span>', "too small to read"),
        ('<span style="opacity:0.0">x</span>', "not displayed"),
        ('<span style="mso-hide:all">x</span>', "not displayed"),
        ('<div style="max-height:0;overflow:hidden"><b>x</b></div>', "not displayed"),
        ('<div style="position:absolute;left:-9999px">x</div>', "off the page"),
        ('<font color="#fefefe">x</font>', "in the colour of the paper"),
        ('<td bgcolor="#102030"><span style="color:rgb(16, 32, 50)">x</span>', "in the colour of the paper"),
        ('<td bgcolor="#b10101"><font color="white">x</font>', ""),
        ('<p style="font-size:1em">x</p>', ""),
        ('<p style="font:0/0 a">x</p>', "too small to read"),
        ('<div style="font-size:0"><span style="font-size:5em">x</span></div>', "too small to read"),
        ('<div style="font-size:0"><span style="font-size:13px">x</span></div>', ""),
        ('<div style="color:#fff"><span style="color:#333">x</span></div>', ""),
        ('<p style="background:url(x.png);color:#fff">x</p>', ""),
        ("<p>x</p>", ""),
    ],
)  # fmt: skip
def test_what_is_hidden_is_said(markup: str, why: str) -> None:
    (block,) = [
        one
        for one in flow(f"<table><tr>{markup}</table>" if "<td" in markup else markup).blocks
        if one.kind != "gap"
    ]
    assert (block.kind == "hidden", block.note) == (bool(why), WORDS[why] if why else "")
    assert "".join(run.text for run in block.runs) == "x"


@pytest.mark.parametrize(
    ("said", "href", "elsewhere"),
    [
        ("https://intranet.example.org", "https://login.evil.example/", True),
        ("www.bank.example", "https://bank.example/x", False),
        ("bank.example", "https://www.bank.example/x", False),
        ("bank.example", "https://bank.example.evil.example/", True),
        ("bank.example", "http://[broken", True),
        ("bank.example", "https://bank.example@evil.example/", True),
        ("Sign in", "https://evil.example/", False),
        ("eva@example.org", "mailto:eva@example.org", False),
    ],
)
def test_a_link_that_names_another_host(said: str, href: str, elsewhere: bool) -> None:
    assert leads_elsewhere(said, href) == elsewhere


@pytest.mark.parametrize(
    "markup",
    ["word " * 200_000, "<div>" * 60_000 + "deep", "<p>x" * 50_000, "<img src=x>" * 20_000, '<a href="http://e.example">x</a>' * 9_000,
     "W" * 300_000, "a" + "\u0301" * 90_000, "<b>" * 30_000 + "x"],
)  # fmt: skip
def test_nothing_grows_without_end(markup: str) -> None:
    found = flow(markup)
    assert found.cut or len(found.blocks) <= 2
    assert len(found.blocks) <= mail_blocks.MOST_BLOCKS + 1
    letters = sum(len(run.text) for block in found.blocks for run in block.runs)
    assert letters <= 3 * mail_blocks.MOST_LETTERS + 300 * mail_blocks.MOST_TARGETS
    assert all(
        len(word) <= 25
        for block in found.blocks
        for run in block.runs
        for word in run.text.split("\u200b")
        if " " not in word
    )


@given(st.text(st.sampled_from("<>/=\"' abpitd&;#x0\n\u202e\u200c"), max_size=200))
def test_no_markup_stops_it(markup: str) -> None:
    flow(markup)


def test_a_plain_text_keeps_its_lines_and_quotes() -> None:
    found = of_text("Dear Eva,\n\n\n> did you\n>> see it\nbye\u2066", WORDS)
    assert [(block.kind, block.level) for block in found.blocks] == [
        ("line", 0), ("gap", 0), ("quote", 1), ("quote", 2), ("line", 0),
    ]  # fmt: skip
    assert found.blocks[-1].runs[-1].kind == "note"
    assert of_text("a\n" * 5000, WORDS).cut
