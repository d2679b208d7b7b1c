"""Markdown people write: readable, and harmless whatever is in it."""

import re
import time

from hypothesis import given
from hypothesis import strategies as st

from incidents.markdown import defanged, to_html


def test_what_people_use_is_kept() -> None:
    html = to_html(
        "# Title\n\n- **bold** _em_ ~~no~~ `code`\n\n| a | b |\n|---|:-:|\n| 1 | 2 |\n\n```\nx < y\n```"
    )
    for part in (
        "<h3>Title</h3>",
        "<strong>bold</strong>",
        "<s>no</s>",
        "<code>code</code>",
        "<td>1</td>",
        "x &lt; y",
    ):
        assert part in html


def test_links_are_shown_defanged_and_are_no_links() -> None:
    assert to_html("[click me](https://evil.example/a)") == (
        '<p><span class="address">click me (hxxps[://]evil[.]example/a)</span></p>\n'
    )
    assert (
        to_html("<https://evil.example>") == '<p><span class="address">hxxps[://]evil[.]example</span></p>\n'
    )


def test_pictures_are_words() -> None:
    html = to_html("![a cat](http://track.example/pixel.png)")
    assert "<img" not in html
    assert "a cat (hxxp[://]track[.]example/pixel.png)" in html


@given(
    st.lists(
        st.sampled_from(
            ["<script>", "[x](javascript:alert(1))", "![i](data:x)", "<img src=x onerror=y>", "`", "**", "\n", "> ", "- ", "&lt;", '"', "http://a.b"]
        )
        | st.text(max_size=10)
    )
)  # fmt: skip
def test_nothing_that_acts_comes_out(parts: list[str]) -> None:
    html = to_html("".join(parts))
    for tag, attributes in re.findall(r"<([a-zA-Z0-9]+)([^>]*)>", html):
        assert tag in {"p", "br", "hr", "em", "strong", "s", "code", "pre", "blockquote", "ul", "ol", "li", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td", "span"}  # fmt: skip
        assert re.fullmatch(
            r'( (class="address"|start="\d+"|style="text-align:(left|right|center)"))*', attributes
        )


def test_hostile_texts_take_no_time() -> None:
    began = time.monotonic()
    for text in ("[" * 50_000, "> " * 30_000, "[a](http://b) " * 5_000, "*" * 80_000, "`" * 80_000):
        to_html(text)
    assert time.monotonic() - began < 10


def test_defanging() -> None:
    assert (
        defanged("http://a.example:80/x?y=http://b.example") == "hxxp[://]a[.]example:80/x?y=http://b.example"
    )
    assert defanged("mailto:a@b.example") == "mailto:a[@]b[.]example"
