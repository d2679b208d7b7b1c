"""What the values in alerts are: their types, one spelling for each, defanged for people, found in free text."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit, urlunsplit

import idna

from connectors.contract import Entity
from connectors.top_level_domains import AMBIGUOUS, KNOWN

TYPES: tuple[str, ...] = (
    "ipv4-addr", "ipv6-addr", "domain", "url", "email", "file-hash", "host", "user", "file", "process", "mac", "cve",
)  # fmt: skip

MAX_SCAN = 262_144  # characters of free text that are looked at
MAX_VALUE = 2_048
_NOTHING = frozenset(
    (
        "",
        "-",
        "--",
        "n/a",
        "na",
        "none",
        "null",
        "nil",
        "unknown",
        "undefined",
        "multiple",
        "<na>",
        "(null)",
        "?",
    )
)
_HASHES = {32: "md5", 40: "sha1", 64: "sha256", 96: "sha384", 128: "sha512"}
_HEX = re.compile(r"[0-9a-fA-F]+")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_MAC = re.compile(r"[0-9a-fA-F]{2}(?:[:-][0-9a-fA-F]{2}){5}|[0-9a-fA-F]{4}\.[0-9a-fA-F]{4}\.[0-9a-fA-F]{4}")
_CVE = re.compile(r"[Cc][Vv][Ee]-\d{4}-\d{4,7}")
_EMAIL_LOCAL = re.compile(r"[^\s@\"<>()\[\]\\,;:]{1,64}")
_INVISIBLE = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_SCHEMES = (
    "http",
    "https",
    "ftp",
    "ftps",
    "sftp",
    "ldap",
    "ldaps",
    "rmi",
    "smb",
    "ws",
    "wss",
    "tcp",
    "udp",
    "ssh",
    "file",
)


def hash_kind(value: str) -> str | None:
    """md5, sha1, sha256, sha384 or sha512 by length; None when it is no such hash."""
    return _HASHES.get(len(value)) if _HEX.fullmatch(value) else None


# ------------------------------------------------------------------------------------------------ one spelling


def normalise(kind: str, text: str) -> str | None:
    """The one spelling of a value of this type, or None when it is no such value. Never raises."""
    try:
        text = text.strip()
        if len(text) > MAX_VALUE * 4 or text.casefold() in _NOTHING:
            return None
        return _NORMALISERS[kind](text)
    except (ValueError, UnicodeError):
        return None


def entity(kind: str, text: str, role: str = "observer") -> Entity | None:
    """An entity, its type corrected where the value says otherwise; None when the value is nothing.

    `ip` takes either family, a `host` or `domain` that is an address becomes one, `host:port` loses its port, `auto` is
    classified.
    """
    text = text.strip()
    if kind == "auto":
        guess = classify(text)
        return Entity(guess[0], guess[1], role) if guess else None
    if kind in ("ip", "ipv4-addr", "ipv6-addr"):
        address = _address(text)
        return Entity(_family(address), address, role) if address else None
    if kind in ("host", "domain"):
        if (address := _address(text)) is not None:
            return Entity(_family(address), address, role)
        text = text.rpartition(":")[0] if text.count(":") == 1 and text.rpartition(":")[2].isdigit() else text
    value = normalise(kind, text)
    return Entity(kind, value, role) if value else None


def _family(address: str) -> str:
    return "ipv6-addr" if ":" in address else "ipv4-addr"


def _address(text: str) -> str | None:
    if len(text) > 64 or not text or text[0] not in "0123456789abcdefABCDEF:[":
        return None
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    elif not ("." in text or ":" in text):
        return None
    try:
        address = ipaddress.ip_address(text.partition("%")[0])  # 010.1.2.3 is refused, never reinterpreted
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _only(version: int, text: str) -> str | None:
    address = _address(text)
    return address if address and (":" in address) is (version == 6) else None


def _domain(text: str) -> str | None:
    name = text.rstrip(".").removeprefix("*.")
    if not name.isascii():
        name = idna.encode(name, uts46=True, transitional=False).decode("ascii")
    name = name.lower()
    labels = name.split(".")
    if not 2 <= len(labels) <= 40 or len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        return None
    return name if not labels[-1].isdigit() and len(labels[-1]) >= 2 else None


def _host(text: str) -> str | None:
    name = text.rstrip(".").lower()
    return (
        name
        if 1 <= len(name) <= 253 and not re.search(r"[\s\x00-\x1f\"'<>/\\@\ud800-\udfff]", name)
        else None
    )


def _url(text: str) -> str | None:
    if len(text) > MAX_VALUE or _INVISIBLE.search(text):
        return None
    parts = urlsplit(text)
    scheme = parts.scheme.lower()
    if scheme not in _SCHEMES or not parts.hostname or re.search(r"\s", text):
        return None
    host = _address(parts.hostname) or _domain(parts.hostname) or _host(parts.hostname)
    if host is None:
        return None
    user, at, _ = parts.netloc.rpartition("@")
    port = f":{parts.port}" if parts.port else ""
    shown = f"[{host}]" if ":" in host else host
    return urlunsplit((scheme, f"{user}{at}{shown}{port}", parts.path, parts.query, parts.fragment))


def _email(text: str) -> str | None:
    text = text.strip("<>").removeprefix("mailto:")
    local, at, host = text.rpartition("@")
    domain = _domain(host) if at else None
    return f"{local}@{domain}".lower() if domain and _EMAIL_LOCAL.fullmatch(local) else None


def _hash(text: str) -> str | None:
    text = text.rpartition(":")[2].rpartition("=")[2].lower()
    return text if hash_kind(text) and set(text) != {"0"} else None


def _user(text: str) -> str | None:
    name = text.strip("\\").lower()
    return name if 1 <= len(name) <= 256 and not _INVISIBLE.search(name) else None


def _mac(text: str) -> str | None:
    if not _MAC.fullmatch(text):
        return None
    digits = re.sub("[:.-]", "", text).lower()
    return ":".join(digits[place : place + 2] for place in range(0, 12, 2)) if set(digits) != {"0"} else None


def _plain(text: str) -> str | None:
    return _INVISIBLE.sub("\ufffd", text)[:MAX_VALUE] or None


_NORMALISERS: dict[str, Callable[[str], str | None]] = {
    "ipv4-addr": lambda text: _only(4, text),
    "ipv6-addr": lambda text: _only(6, text),
    "domain": _domain,
    "url": _url,
    "email": _email,
    "file-hash": _hash,
    "host": _host,
    "user": _user,
    "file": _plain,
    "process": _plain,
    "mac": _mac,
    "cve": lambda text: text.upper() if _CVE.fullmatch(text) else None,
}

# ------------------------------------------------------------------------------------------------ for people

_REFANGS = (
    (re.compile(r"\bh(?:xx|XX|tt|\*\*)p(s?)\b(?=\[?:)", re.IGNORECASE), r"http\1"),
    (re.compile(r"\bfxp(?=\[?:)", re.IGNORECASE), "ftp"),
    (re.compile(r"\[://\]|\[:\]//|:\[//\]"), "://"),
    (re.compile(r"[ ]?[\[({](?:\.|dot|DOT|punkt)[\])}][ ]?"), "."),
    (re.compile(r"\[\.(?=\w)|(?<=\w)\.\]|\\\.(?=\w)"), "."),
    (re.compile(r"\[:\]"), ":"),
    (re.compile(r"[ ]?[\[({](?:@|at|AT)[\])}][ ]?"), "@"),
    (re.compile(r"\[/\]"), "/"),
)


def refang(text: str) -> str:
    """Undo the usual defangings: hxxp, [.], (dot), [@], [://], 1[.]2[.]3[.]4."""
    for pattern, replacement in _REFANGS:
        text = pattern.sub(replacement, text)
    return text


def defang(kind: str, value: str) -> str:
    """The value as shown to people, so that no mail client or chat makes it a link."""
    if kind in ("ipv4-addr", "domain"):
        head, _, tail = value.rpartition(".")
        return f"{head}[.]{tail}" if head else value
    if kind == "ipv6-addr":
        return value.replace(":", "[:]", 1)
    if kind == "email":
        local, _, domain = value.rpartition("@")
        return f"{local}[@]{defang('domain', domain)}"
    if kind == "url":
        scheme, separator, rest = value.partition("://")
        authority, slash, path = rest.partition("/")
        scheme = scheme.replace("tt", "xx", 1) if scheme.startswith("http") else scheme
        return f"{scheme}{separator}{authority.replace('.', '[.]')}{slash}{path}"
    return value


def classify(text: str) -> tuple[str, str] | None:
    """What one string is, as (type, normalised value): for the search box and for fields that may hold anything.

    None for words. A bare name is a domain only under a known top-level domain; hosts are not guessed.
    """
    text = text.strip()
    if not text or len(text) > MAX_VALUE:
        return None
    text = refang(text).strip("\"'<>")
    for kind in ("ipv4-addr", "ipv6-addr", "cve", "file-hash", "mac"):
        if value := normalise(kind, text):
            return kind, value
    if "://" in text:
        return ("url", value) if (value := normalise("url", text)) else None
    if "@" in text and (value := normalise("email", text)):
        return "email", value
    if re.match(r"[A-Za-z]:[\\/]|\\\\\w|/\w|~/", text):
        return "file", _plain(text) or ""
    if re.fullmatch(r"[\w.-]{1,64}\\[\w.$@-]{1,128}", text) and (value := normalise("user", text)):
        return "user", value
    if (value := normalise("domain", text)) and _plausible(value, whole=True):
        return "domain", value
    return None


# ------------------------------------------------------------------------------------------------ in free text

_FIND_CVE = re.compile(r"(?<![\w])CVE-\d{4}-\d{4,7}(?!\d)", re.IGNORECASE)
_FIND_URL = re.compile(
    r"(?<![A-Za-z0-9])(?:https?|ftps?|sftp|ldaps?|rmi|smb|wss?)://[^\s<>\"'`{}|\\^]{1,2048}", re.IGNORECASE
)
_FIND_WINDOWS_PATH = re.compile(
    r"(?<![\w/])[A-Za-z]:\\(?:[^\s\\/:*?\"<>|]{1,128}\\){0,20}[^\s\\/:*?\"<>|,;]{1,128}"
)
_FIND_UNIX_PATH = re.compile(
    r"(?<![\w/:.%=-])/(?:bin|boot|dev|etc|home|lib|lib64|mnt|opt|proc|root|run|sbin|srv|sys|tmp|usr|var|Users|Library)"
    r"/[\w.@+/-]{1,512}"
)
_TOKEN = re.compile(r"[^\s\"'`<>()\[\]{},;|=!?*]+")
_EDGES = ".:-_/\\#&~^+\u2026\u2019\u201d"


def extract(text: str, limit: int = 500) -> list[Entity]:
    """Every address, domain, URL, mail address, hash, MAC, CVE and usual file path in free text, defanged or not.

    Linear in the text, of which the first 262,144 characters are read; at most `limit` values, each once, as artifacts.
    A URL also yields its host. Bare names count as domains only under a known top-level domain.
    """
    found: dict[tuple[str, str], None] = {}
    for pair in _scan(refang(text[:MAX_SCAN])):
        found[pair] = None
        if len(found) >= limit:
            break
    return [Entity(kind, value, "artifact") for kind, value in found]


def _scan(text: str) -> Iterator[tuple[str, str]]:
    for match in _FIND_CVE.finditer(text):
        yield "cve", match.group().upper()
    text = _FIND_CVE.sub(" ", text)
    for match in _FIND_URL.finditer(text):
        if value := normalise("url", _trimmed(match.group())):
            yield "url", value
            host = urlsplit(value).hostname or ""
            if address := _address(host if ":" not in host else f"[{host}]"):
                yield _family(address), address
            elif domain := normalise("domain", host):
                yield "domain", domain
    text = _FIND_URL.sub(" ", text)
    for pattern in (_FIND_WINDOWS_PATH, _FIND_UNIX_PATH):
        for match in pattern.finditer(text):
            yield "file", match.group().rstrip(".,:")
        text = pattern.sub(" ", text)
    for match in _TOKEN.finditer(text):
        token = match.group()
        if 3 <= len(token) <= 320:
            yield from _judge(token.strip(_EDGES) if token[:2] != "::" else token.rstrip(_EDGES))


def _judge(token: str) -> Iterator[tuple[str, str]]:
    if hash_kind(token) and set(token) != {"0"}:
        yield "file-hash", token.lower()
    elif "@" in token:
        if value := normalise("email", token.rpartition(":")[2]):
            yield "email", value
    elif token.count(":") >= 2:
        if _MAC.fullmatch(token):
            if mac := _mac(token):
                yield "mac", mac
        elif address := _address(token):
            yield _family(address), address
    elif "." in token:
        name = re.split(r"[:/\\]", token, maxsplit=1)[0]
        if address := _address(name):
            yield "ipv4-addr", address
        elif (domain := normalise("domain", name)) and _plausible(domain, whole=name == token):
            yield "domain", domain
    elif _MAC.fullmatch(token) and (mac := _mac(token)):
        yield "mac", mac


def _trimmed(url: str) -> str:
    url = url.rstrip(".,;:!?\u2026\u2019\u201d*")
    for opening, closing in ("()", "[]"):
        while url.endswith(closing) and url.count(closing) > url.count(opening):
            url = url[:-1].rstrip(".,;:!?")
    return url


def _plausible(domain: str, whole: bool) -> bool:
    """A bare name is a domain when its last label is a real one, and not a likely file name (`backup.sh`, `app.py`)."""
    last = domain.rpartition(".")[2]
    if last.startswith("xn--"):
        return True
    return last in KNOWN and (last not in AMBIGUOUS or domain.count(".") >= 2 or not whole)
