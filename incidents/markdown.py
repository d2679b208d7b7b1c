"""Render the Markdown people write into HTML that is safe to show beside hostile values.

Raw HTML is text, images are never loaded, and a link is not followed by a click: its address is shown defanged
after its words. What comes out has passed an allow-list of tags as well.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Literal

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token

MAX_LENGTH = 100_000

_TAGS = {
    "p", "br", "hr", "em", "strong", "s", "code", "pre", "blockquote", "ul", "ol", "li",
    "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td", "span",
}  # fmt: skip


def to_html(text: str) -> str:
    """The HTML of a Markdown text (at most 100,000 characters of it), safe to put into a page as it is."""
    parser = _parser()
    tokens = parser.parse(text[:MAX_LENGTH])
    _without_links(tokens)
    html = str(parser.renderer.render(tokens, parser.options, {}))
    return nh3.clean(
        html,
        tags=_TAGS,
        attributes={"span": {"class"}, "ol": {"start"}, "td": {"style"}, "th": {"style"}},
        filter_style_properties={"text-align"},
        url_schemes=set(),
    )


def defanged(url: str) -> str:
    """An address that no program turns into a link: hxxps[://]example[.]org/path."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url.replace(".", "[.]").replace("@", "[@]")
    host, slash, path = rest.partition("/")
    scheme = scheme.replace("http", "hxxp").replace("ftp", "fxp")
    return f"{scheme}[://]{host.replace('.', '[.]')}{slash}{path}"


def _without_links(tokens: list[Token]) -> None:
    """Turn links and pictures into words and a defanged address, and headings into lower ones, in place."""
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1]) + 2, 6)}"
        if token.type == "inline" and token.children:
            token.children = list(_rewritten(token.children))


def _rewritten(children: list[Token]) -> Iterator[Token]:
    address = ""
    words = ""
    for token in children:
        if token.type == "link_open":
            address, words = defanged(str(token.attrGet("href") or "")), ""
            yield _tag("span_open", 1, {"class": "address"})
        elif token.type == "link_close":
            if words != address:
                yield _text(f" ({address})")
            address = ""
            yield _tag("span_close", -1, {})
        elif token.type == "image":
            yield _tag("span_open", 1, {"class": "address"})
            yield _text(f"{token.content or 'picture'} ({defanged(str(token.attrGet('src') or ''))})")
            yield _tag("span_close", -1, {})
        elif token.type == "text" and address:
            token.content = defanged(token.content) if "://" in token.content else token.content
            words += token.content
            yield token
        else:
            yield token


def _tag(kind: str, nesting: Literal[-1, 0, 1], attributes: dict[str, str | int | float]) -> Token:
    return Token(kind, "span", nesting, attrs=attributes)


def _text(content: str) -> Token:
    return Token("text", "", 0, content=content)


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False, "maxNesting": 20}).enable(["table", "strikethrough"])
