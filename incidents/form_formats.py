"""The named kinds that a field of a form may ask for, each checked by the readers that alerts go through."""

from collections.abc import Mapping
from dataclasses import dataclass

from connectors.entities import entity


@dataclass(frozen=True)
class Format:
    """One kind: what an entity of it is, by type, and how a person is told what is meant."""

    reads: str
    types: tuple[str, ...]
    meant: str


FORMATS: Mapping[str, Format] = {
    "ip": Format("ip", ("ipv4-addr", "ipv6-addr"), "an address such as 203.0.113.9"),
    "email": Format("email", ("email",), "a mail address such as ana@example.org"),
    "url": Format("url", ("url",), "a URL such as https://shop.example.org/login"),
    "domain": Format("domain", ("domain",), "a domain such as example.org"),
    "host": Format("host", ("host", "ipv4-addr", "ipv6-addr"), "a host such as pc-7"),
    "hash": Format("file-hash", ("file-hash",), "a file's hash: MD5, SHA-1 or SHA-256"),
}
LONGEST = 2048


def is_of(name: str, value: object) -> bool:
    """Whether a text is of the kind of this name; what is empty is no answer, and anything is where there is no such kind."""
    known = FORMATS.get(name)
    if known is None or not isinstance(value, str) or not value:
        return True
    found = entity(known.reads, value) if len(value) <= LONGEST and value.strip() == value and " " not in value else None
    return found is not None and found.type in known.types


def said(name: str, value: object) -> str:
    """What is told of a value that is not of the kind."""
    return f"“{str(value)[:80]}” is not {FORMATS[name].meant}."
