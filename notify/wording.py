"""Makes text fit for a notification: short, on one line where it must be, hostile links disarmed."""

import re

from notify.contract import Outgoing

_URL = re.compile(r"\b(h)tt(ps?://\S+)|\b(f)t(p://\S+)", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]+")


def one_line(text: str, limit: int = 200) -> str:
    """`text` without line breaks, control or direction-changing characters, at most `limit` characters."""
    line = " ".join(_CONTROL.sub(" ", text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def two_lines(text: str, limit: int = 160) -> str:
    """The first two lines that say something: what a page may tell outside channels."""
    lines = [one_line(line, limit) for line in text.splitlines() if line.strip()]
    return "\n".join(lines[:2])


def block(text: str, limit: int = 4000) -> str:
    """A longer text, line by line cleaned, at most `limit` characters."""
    whole = "\n".join(one_line(line, limit) for line in text.splitlines())
    return whole if len(whole) <= limit else whole[: limit - 1] + "…"


def disarmed(text: str) -> str:
    """URLs written so that no mail or chat program makes a link of them: hxxps://evil[.]example."""

    def disarm(found: re.Match[str]) -> str:
        url = found.group(0)
        scheme = "fxp" if url[0] in "fF" else "hxx" + url[3 : url.index(":")]
        return scheme + url[url.index(":") :].replace(".", "[.]")

    return _URL.sub(disarm, text)


def headline(outgoing: Outgoing) -> str:
    """The one line that says it all: for subjects and titles."""
    loud = outgoing.kind == "page" and outgoing.severity.rank > 0
    return one_line(f"{outgoing.severity.upper()}: {outgoing.title}" if loud else outgoing.title)
