"""What somebody's own words name: addresses, hosts, people, hashes, and what kind of incident they sound like."""

import re
from collections.abc import Iterable

from connectors.contract import Entity
from connectors.entities import entity, extract

MOST = 60
"""So many values are offered of one text."""

# LAPTOP-7, FS-ZRH-01, DESKTOP-A1B2C3: names as they stand on stickers; a word in capitals alone is no host.
_HOST = re.compile(
    r"(?<![\w.@\\/-])(?=[A-Z0-9-]*[A-Z])(?=[A-Z0-9-]*\d)[A-Z][A-Z0-9]{1,14}(?:-[A-Z0-9]{1,15}){1,3}(?![\w@\\/-])"
)
_NO_HOST = re.compile(r"(?:CVE|INC|RFC|ISO|CVSS|TLP|UTF|SHA|MD|KB|MS|COVID|T)-?\d", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{1,252}")
_ACCOUNT = re.compile(r"(?<![\w\\])[A-Z][\w.-]{0,30}\\[A-Za-z][\w.$-]{1,60}")

# The first that fits is offered; words in English and Spanish, as people say them on the phone.
_SOUNDS: tuple[tuple[str, str], ...] = (
    ("malware", r"ransom|malware|virus|trojan|troyano|encrypted files|cifrad|infected|infectad|antivirus|beacon"),
    ("phishing", r"phish|suspicious (?:e-?)?mail|fake (?:e-?)?mail|clicked|correo (?:sospechoso|falso)|spam|smish|vish"),
    ("secret", r"(?:api|access|private|secret) ?key|leaked (?:password|token|credential)|token in|password in|clave filtrada|secreto"),
    ("login", r"password|contraseña|log ?in|sign.in|mfa|2fa|account (?:taken|locked|compromised)|cuenta|brute.?force"),
    ("web_attack", r"sql injection|xss|defac|web ?shell|website hacked|path traversal|página (?:web )?(?:hackeada|alterada)"),
    ("availability", r"outage|unreachable|ddos|\bdown\b|does not answer|no responde|caíd[oa]|fuera de servicio"),
    ("intrusion", r"intru|lateral|exfiltrat|unknown (?:admin|account|device)|backdoor|acceso no autorizado|compromised"),
    ("policy", r"stolen|lost (?:laptop|phone|badge|usb)|robad|perdid[oa]|policy|usb stick|tailgat"),
)  # fmt: skip


def values_in(*texts: str) -> list[Entity]:
    """What some texts name, defanged or not, each once and at most MOST: as extract() finds it, hosts and accounts too."""
    found: dict[tuple[str, str], Entity] = {}
    for text in texts:
        for one in (*extract(text, MOST), *_people_and_hosts(text)):
            found.setdefault((one.type, one.value.casefold()), one)
    return list(found.values())[:MOST]


def value_of(word: str) -> Entity | None:
    """One word that somebody says is a value: what it is of itself, else a host; None when it can be no name."""
    if (found := entity("auto", word, "artifact")) is not None:
        return found
    return entity("host", word, "artifact") if _NAME.fullmatch(word) else None


def is_mail(text: str) -> bool:
    """Whether a text is one mail address."""
    found = entity("email", text, "artifact")
    return found is not None and found.type == "email"


def category_of(*texts: str) -> str | None:
    """The category that the words sound like, or None; a person decides."""
    heard = " ".join(texts)[:20_000].casefold()
    return next((category for category, words in _SOUNDS if re.search(words, heard)), None)


def _people_and_hosts(text: str) -> Iterable[Entity]:
    for match in _ACCOUNT.finditer(text[:100_000]):
        if (account := entity("user", match.group(), "artifact")) is not None:
            yield account
    for match in _HOST.finditer(text[:100_000]):
        host = None if _NO_HOST.match(match.group()) else entity("host", match.group(), "artifact")
        if host is not None:
            yield host
