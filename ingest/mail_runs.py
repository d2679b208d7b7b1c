"""A mail's words in pieces: where a link leads stands beside it, and what steers or cannot be seen is named."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from connectors.entities import defang

_STEERING = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f\ufff9-\ufffb\ufffe\uffff]")  # fmt: skip
_UNSEEN = re.compile(
    "(?:[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200d\u2060-\u2064\u2800\u3164\ufeff\uffa0][\\s\u00a0]*){4,}"
)
_MARKS = re.compile("([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{4})[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+")  # fmt: skip
_LONG = re.compile(r"(\S{24})(?=\S)")
_ADDRESS = re.compile(
    r"(?:https?://|www\.)?([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?\.[a-z]{2,24})(?:[/?#:\s]|$)", re.IGNORECASE
)


@dataclass(frozen=True)
class Run:
    """A piece of a block: `text` in one style, or where a link leads (`target`, defanged), or a remark of ours (`note`)."""

    text: str
    kind: str = "text"  # text, target, note
    bold: bool = False
    italic: bool = False
    link: bool = False
    elsewhere: bool = False  # of a target: the link's words name another host


def leads_elsewhere(said: str, href: str) -> bool:
    """Whether a link's words name a host, and it leads to another one."""
    named = _ADDRESS.match(said.strip())
    if named is None or "@" in said:
        return False
    try:
        host = (urlsplit(href.strip()).hostname or "").casefold()
    except ValueError:
        return True
    names = named[1].casefold().removeprefix("www.")
    return not (host.removeprefix("www.") == names or host.endswith("." + names))


def pieces(text: str, style: Run, words: dict[str, str]) -> Iterator[Run]:
    """A text as runs: what steers or cannot be seen stands as a remark in its place."""
    text = _MARKS.sub(r"\1", text)
    place = 0
    tricks = sorted((*_UNSEEN.finditer(text), *_STEERING.finditer(text)), key=lambda one: one.start())
    for found in tricks:
        if found.start() < place:
            continue
        if found.start() > place:
            yield replace(style, text=_broken(text[place : found.start()]))
        if found.re is _STEERING:
            yield Run(f"U+{ord(found[0]):04X}", "note")
        else:
            count = sum(not letter.isspace() for letter in found[0])
            yield Run(f"{count} {words.get('unseen', '')}".strip(), "note")
        place = found.end()
    if place < len(text):
        yield replace(style, text=_broken(text[place:]))


def plain(text: str) -> str:
    """A text in which nothing steers, for where there is no room for remarks."""
    return _broken(_STEERING.sub(lambda found: f"[U+{ord(found[0]):04X}]", _MARKS.sub(r"\1", text)))


def _broken(text: str) -> str:
    """A long word may break: a zero-width space stands where it may."""
    return _LONG.sub("\\1\u200b", text)


def where(address: str) -> str:
    """An address as it may be shown: defanged, without tricks, at most 300 letters."""
    text = " ".join(address.split())
    return plain(defang("url", text[:300]) + ("…" if len(text) > 300 else ""))


def size(count: int) -> str:
    """A number of bytes in words."""
    return f"{count} B" if count < 1024 else f"{count / 1024:,.0f} KiB"
