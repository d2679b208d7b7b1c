"""What a mail's HTML or text would show, as a flat list of blocks: nothing is fetched, and what it hides is said to be hidden."""

import re
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser

import nh3

from ingest.mail_runs import Run, leads_elsewhere, pieces, plain, size, where
from ingest.mail_styles import Colour, colour, declared, letters, number

MOST_MARKUP = 400_000
"""Letters of a mail's HTML that are looked at."""
MOST_TAGS = 25_000
"""So many tags of it: a parser takes the square of their depth."""
MOST_LETTERS = 20_000
"""Letters of it that are shown."""
MOST_BLOCKS = 400
MOST_DEPTH = 100
MOST_TARGETS = 120

_BREAKS = frozenset({
    "p", "div", "br", "tr", "table", "td", "th", "ul", "ol", "form", "hr", "center", "pre", "blockquote", "li", "h1", "h2", "h3",
    "h4", "h5", "h6", "button",
})  # fmt: skip
_APART = frozenset({"p", "table", "ul", "ol", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "form"})
_HEADINGS = {"h1": 1, "h2": 2, "h3": 3, "h4": 3, "h5": 3, "h6": 3}
_VOID = frozenset({"br", "hr", "img", "input"})
_INLINE = frozenset({
    "a", "b", "strong", "i", "em", "u", "span", "font", "small", "code", "label", "img", "input", "select", "textarea",
})  # fmt: skip
_KEPT = _BREAKS | _INLINE
_STYLED = {"style", "hidden", "bgcolor", "color", "width", "height"}
_SCHEMES = {"http", "https", "ftp", "mailto", "tel", "sms", "file", "data", "cid", "javascript", "vbscript", "blob", "ms-settings", "search-ms"}  # fmt: skip


@dataclass(frozen=True)
class Block:
    """One block: a paragraph, heading (level 1 to 3), item, quote, code, rule, image, field or hidden text (`note`: why hidden)."""

    kind: str
    runs: tuple[Run, ...] = ()
    level: int = 0
    note: str = ""


@dataclass(frozen=True)
class Flow:
    """What would be shown, from top to bottom; `cut`: there is more than is shown."""

    blocks: tuple[Block, ...]
    cut: bool


@dataclass(frozen=True)
class _State:
    """What holds inside an element."""

    tag: str = ""
    bold: bool = False
    italic: bool = False
    pre: bool = False
    quotes: int = 0
    gone: str = ""  # why nothing in it is displayed; what is inside cannot change that
    letters: float = 14.0  # how high they are, in pixels
    ink: Colour = (0, 0, 0)
    paper: Colour = (255, 255, 255)
    href: str = ""


def of_html(markup: str, words: dict[str, str], pictures: dict[str, tuple[str, int]]) -> Flow:
    """The flow of a mail's HTML. words: our few words in the reader's language; pictures: name and bytes by Content-ID."""
    parts = markup[:MOST_MARKUP].split("<", MOST_TAGS)
    seen = "<".join(parts[:MOST_TAGS])
    # ammonia parses as browsers do and writes well-formed markup with these few tags only.
    tidy = nh3.clean(
        seen,
        tags=set(_KEPT),
        clean_content_tags={"script", "style", "head", "title"},
        attributes={
            tag: _STYLED | {"href", "src", "alt", "action", "type", "name", "placeholder", "value"}
            for tag in _KEPT
        },
        url_schemes=_SCHEMES,
        link_rel=None,
    )
    reader = _Reader(words, pictures)
    try:
        reader.feed(tidy)
        reader.close()
        reader.end()
    except _Full:
        reader.cut = True
    return Flow(tuple(reader.blocks), reader.cut or len(markup) > len(seen))


def of_text(text: str, words: dict[str, str]) -> Flow:
    """The flow of a plain text: line by line, quotes as quotes."""
    blocks: list[Block] = []
    left = MOST_LETTERS
    for line in text.splitlines():
        if len(blocks) >= MOST_BLOCKS or left <= 0:
            return Flow(tuple(blocks), cut=True)
        body = line.lstrip("> \t") if line.startswith(">") else line.expandtabs(4)
        quotes = line[: len(line) - len(body)].count(">") if line.startswith(">") else 0
        runs = tuple(pieces(body[:left], Run(""), words))
        left -= len(line) + 1
        if runs or (blocks and blocks[-1].kind != "gap"):
            blocks.append(Block(("quote" if quotes else "line") if runs else "gap", runs, min(quotes, 5)))
    return Flow(tuple(blocks), cut=False)


class _Full(Exception):
    """There is more than is shown."""


@dataclass
class _Reader(HTMLParser):
    words: dict[str, str]
    pictures: dict[str, tuple[str, int]]
    blocks: list[Block] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    stack: list[_State] = field(default_factory=lambda: [_State()])
    beyond: int = 0  # elements open below the depth that is followed
    letters: int = 0
    targets: int = 0
    said: str = ""  # the words of the link that is open
    kind: tuple[str, int] = ("text", 0)
    hidden: str = ""
    wide: bool = False  # a gap stands before the next block
    cut: bool = False

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    # ------------------------------------------------------------------------------------------ what comes

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag in _BREAKS:
            self.wide = self.wide or tag in _APART or (tag == "br" and not self.runs)
            self.end()
        if tag == "img":
            self._image(given)
        elif tag == "hr":
            self._put(Block("rule"))
        elif tag == "input":
            self._field(given.get("type", "text").casefold(), given)
        elif tag in ("select", "textarea"):
            self._field(tag, given)
        if tag in _VOID:
            return
        if len(self.stack) > MOST_DEPTH:
            self.beyond += 1
            return
        self.stack.append(self._inside(tag, given))
        if tag in _HEADINGS:
            self.kind = ("heading", _HEADINGS[tag])
        elif tag == "li":
            self.kind = ("item", sum(one.tag in ("ul", "ol") for one in self.stack[-12:]))
        elif tag == "button":
            self.kind = ("button", 0)
        elif tag == "form" and given.get("action"):
            self._note(f"{self.words['sends to']} {where(given['action'])}")
            self.end()
        if tag == "a" and given.get("href"):
            self.said = ""

    def handle_endtag(self, tag: str) -> None:
        if self.beyond:
            self.beyond -= 1
            if tag in _BREAKS:
                self.end()
            return
        if tag in _VOID or len(self.stack) == 1:
            return
        if tag == "a" and (href := self.stack[-1].href):
            self._target(href)
        if tag in _BREAKS:
            self.end()
            self.kind = ("text", 0)
            self.wide = self.wide or tag in _APART
        self.stack.pop()

    def handle_data(self, data: str) -> None:
        state = self.stack[-1]
        if data.strip() and (hidden := self._why_hidden()) != self.hidden:
            self.end()
            self.hidden = hidden
        if state.pre:
            for number, line in enumerate(data.split("\n")):
                if number:
                    self.end()
                self._add(line)
            return
        text = re.sub(r"[ \t\r\n\f]+", " ", data)
        if not self.runs or (self.runs[-1].text.endswith(" ") and self.runs[-1].kind == "text"):
            text = text.lstrip(" ")
        self._add(text)

    # ------------------------------------------------------------------------------------------ what becomes of it

    def end(self) -> None:
        """The block that is being written is whole."""
        runs, self.runs = self.runs, []
        if not any(run.kind != "text" or run.text.strip() for run in runs):
            return
        kind, level = self.kind
        self.kind = ("text", 0)
        state = self.stack[-1]
        if self.hidden:
            self._put(Block("hidden", tuple(runs), note=self.hidden))
        elif state.pre:
            self._put(Block("code", tuple(runs)))
        elif kind == "text" and state.quotes:
            self._put(Block("quote", tuple(runs), min(state.quotes, 5)))
        else:
            self._put(Block(kind, tuple(runs), level))

    def _put(self, block: Block) -> None:
        if len(self.blocks) >= MOST_BLOCKS:
            raise _Full
        last = self.blocks[-1] if self.blocks else None
        if last is not None and block.kind == last.kind == "hidden" and block.note == last.note:
            self.blocks[-1] = replace(last, runs=(*last.runs, Run(" "), *block.runs))
            return
        if self.wide and self.blocks:
            self.blocks.append(Block("gap"))
        self.wide = False
        self.blocks.append(block)

    def _add(self, text: str) -> None:
        if not text:
            return
        state = self.stack[-1]
        if self.letters + len(text) > MOST_LETTERS:
            text, self.cut = text[: MOST_LETTERS - self.letters], True
        self.letters += len(text)
        if state.href and len(self.said) < 500:
            self.said += text
        style = Run("", bold=state.bold, italic=state.italic, link=bool(state.href))
        self.runs += pieces(text, style, self.words)
        if self.cut:
            self.end()
            raise _Full

    def _note(self, says: str) -> None:
        self.runs.append(Run(says, "note"))

    def _target(self, href: str) -> None:
        self.targets += 1
        if self.targets > MOST_TARGETS:
            self.cut = True
            return
        self.runs.append(Run(where(href), "target", elsewhere=leads_elsewhere(self.said, href)))

    def _image(self, given: dict[str, str]) -> None:
        wide, high = number(given.get("width", "")), number(given.get("height", ""))
        source = given.get("src", "").strip()
        scheme = source.partition(":")[0].casefold()
        held_size = ""
        drawn = f"{wide:g} × {high:g}" if wide and high else ""
        if scheme == "cid":
            name, held = self.pictures.get(source[4:].strip("<> "), (source[4:60], 0))
            held_size = size(held) if held else ""
        elif scheme == "data":
            kind, _, body = source.partition(",")
            name = f"{self.words['within']} ({kind[5:45].partition(';')[0] or '?'})"
            held_size = size(len(body) * 3 // 4)
        else:
            name = where(source) if source else self.words["no source"]
        tiny = wide is not None and high is not None and wide <= 2 and high <= 2
        says = self.words["counting pixel"] if tiny else self.words["image"]
        runs = [Run(says, "note"), *pieces(", ".join(filter(None, (name, drawn, held_size))), Run(""), {})]
        if alt := given.get("alt", "").strip():
            runs.append(Run(f" “{plain(alt[:200])}”"))
        link = bool(self.stack[-1].href)
        self.end()
        self._put(Block("image", tuple(replace(run, link=link) for run in runs)))

    def _field(self, kind: str, given: dict[str, str]) -> None:
        if kind == "hidden":
            return
        if kind in ("submit", "button", "image"):
            self.end()
            self._put(
                Block(
                    "button",
                    tuple(pieces(given.get("value", "")[:200] or self.words["send"], Run(""), self.words)),
                )
            )
            return
        label = given.get("placeholder") or given.get("name") or ""
        word = self.words["password field"] if kind == "password" else self.words["field"]
        self.end()
        self._put(Block("field", (Run(word, "note"), *pieces(label[:120], Run(""), self.words))))

    def _inside(self, tag: str, given: dict[str, str]) -> _State:
        before = self.stack[-1]
        style = declared(given.get("style", ""))
        ink, paper = before.ink, before.paper
        for value in (given.get("bgcolor"), style.get("background-color"), style.get("background")):
            if value:
                paper = colour(value, paper)
        for value in (given.get("color"), style.get("color")):
            if value:
                ink = colour(value, ink)
        return _State(
            tag=tag,
            bold=before.bold
            or tag in ("b", "strong", "th")
            or style.get("font-weight", "") in ("bold", "bolder", "700", "800", "900"),
            italic=before.italic or tag in ("i", "em") or style.get("font-style") == "italic",
            pre=before.pre or tag == "pre",
            quotes=before.quotes + (tag == "blockquote"),
            gone=before.gone or self._why_gone(given, style),
            letters=letters(style, before.letters),
            ink=ink,
            paper=paper,
            href=given.get("href", "").strip() if tag == "a" else before.href,
        )

    def _why_gone(self, given: dict[str, str], style: dict[str, str]) -> str:
        """How an element keeps all that is in it from its reader; "" when it does not."""
        opacity = number(style.get("opacity", ""))
        if (
            "hidden" in given
            or style.get("display") == "none"
            or style.get("visibility") in ("hidden", "collapse")
        ):
            return self.words["not displayed"]
        if style.get("mso-hide") == "all" or (opacity is not None and opacity < 0.1):
            return self.words["not displayed"]
        if style.get("overflow") == "hidden" and any(number(style.get(name, "")) == 0 for name in ("height", "max-height", "width", "max-width")):  # fmt: skip
            return self.words["not displayed"]
        if any((number(style.get(name, "")) or 0) <= -500 for name in ("left", "top", "text-indent", "margin-left", "margin-top")):  # fmt: skip
            return self.words["off the page"]
        return ""

    def _why_hidden(self) -> str:
        """How words that come now are kept from their reader; "" when they are not."""
        state = self.stack[-1]
        if state.gone:
            return state.gone
        if state.letters <= 2:
            return self.words["too small to read"]
        if (
            state.ink
            and state.paper
            and sum(abs(a - b) for a, b in zip(state.ink, state.paper, strict=True)) < 36
        ):
            return self.words["in the colour of the paper"]
        return ""
