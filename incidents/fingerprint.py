"""Turn the named fields that identify an alert into its fingerprint.

The same alert again must give the same fingerprint and a different one must not. Fields are therefore
length-prefixed ("ab" + "c" is not "a" + "bc"), a missing field differs from an empty one, and the version is
part of the text, so that a change of this recipe cannot silently merge old rows with new ones.
"""

import hashlib
from collections.abc import Sequence

VERSION = 1

_MISSING = b"\x00"
_PRESENT = b"\x01"

Field = tuple[str, str | None]


def fingerprint(fields: Sequence[Field]) -> str:
    """The fingerprint of these fields, as "1:" and 40 hexadecimal digits (160 bits of SHA-256).

    The order of the fields does not matter, their names do. Raises ValueError when no field has a value: such
    a fingerprint would merge every alert of a source into one.
    """
    if not any(value is not None for _, value in fields):
        raise ValueError("A fingerprint needs at least one field that has a value.")
    digest = hashlib.sha256(f"tocsin alert fingerprint {VERSION}".encode())
    for name, value in sorted(fields, key=lambda field: (field[0], field[1] is not None, field[1] or "")):
        digest.update(_framed(name))
        digest.update(_MISSING if value is None else _PRESENT + _framed(value))
    return f"{VERSION}:{digest.hexdigest()[:40]}"


def identifying_fields(fields: Sequence[Field], *, fallback: Sequence[Field]) -> list[Field]:
    """The declared fields, or the fallback when none of them has a value in this alert."""
    if any(value is not None for _, value in fields):
        return list(fields)
    return [(f"fallback.{name}", value) for name, value in fallback]


def _framed(text: str) -> bytes:
    raw = text.encode("utf-8", "surrogatepass")
    return len(raw).to_bytes(8, "big") + raw
