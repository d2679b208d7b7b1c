"""The text of a mail's HTML, and where its links lead: never shown as what it is, nothing in it is fetched."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

import nh3

_BLOCKS = frozenset({
    "p", "div", "br", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "table", "ul", "ol", "hr", "pre",
})  # fmt: skip
_KEPT = {"a", "img", "form", *_BLOCKS}


@dataclass(frozen=True)
class Page:
    """What can be read, and every address that it would open or fetch."""

    text: str
    links: tuple[str, ...]


@dataclass
class _Reader(HTMLParser):
    pieces: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BLOCKS:
            self.pieces.append("\n")
        for name, value in attrs:
            if name in ("href", "src", "action") and value:
                self.links.append(value.strip()[:2048])
                if name == "href" and value.casefold().startswith(("http:", "https:", "ftp:")):
                    self.pieces.append(f" [{value.strip()[:500]}] ")

    def handle_data(self, data: str) -> None:
        self.pieces.append(data)


def text_of_html(markup: str) -> Page:
    """Markup as plain text; each link's true target stands in brackets before its words."""
    # ammonia parses as browsers do and writes well-formed markup with these few tags only.
    tidy = nh3.clean(
        markup,
        tags=_KEPT,
        clean_content_tags={"script", "style", "head", "title"} - _KEPT,
        attributes={"a": {"href"}, "img": {"src"}, "form": {"action"}},
        url_schemes={"http", "https", "ftp", "mailto", "tel", "file", "data", "cid"},
        link_rel=None,
    )
    reader = _Reader()
    reader.feed(tidy)
    reader.close()
    lines = (" ".join(line.split()) for line in "".join(reader.pieces).splitlines())
    text = "\n".join(line for line in lines if line)
    wanted = [link for link in reader.links if not link.casefold().startswith(("cid:", "data:", "mailto:"))]
    return Page(text, tuple(dict.fromkeys(wanted)))
