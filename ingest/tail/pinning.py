"""Whether a certificate is the one that was pinned: by its own digest, or by that of its key, which outlives a renewal."""

import hashlib
import re
from typing import List, Tuple


def pin_of(text: str) -> str:
    """A SHA-256 as 64 small hexadecimal digits, however it was written. Ends the program for anything else."""
    pin = re.sub(r"^sha256:|[^0-9a-f]", "", text.lower())
    if len(pin) != 64:
        raise SystemExit(
            "--pin: give the SHA-256 fingerprint of Tocsin's certificate or of its key, 64 hexadecimal digits"
        )
    return pin


def digests(certificate: bytes) -> Tuple[str, ...]:
    """The SHA-256 of a certificate in DER, and that of its public key; only the first for what is no certificate."""
    whole = hashlib.sha256(certificate).hexdigest()
    try:
        return whole, hashlib.sha256(_public_key(certificate)).hexdigest()
    except (IndexError, ValueError):
        return (whole,)


def _public_key(certificate: bytes) -> bytes:
    """The SubjectPublicKeyInfo of a certificate (RFC 5280, 4.1): what follows the subject."""
    ((_tag, _whole, inside),) = _parts(certificate)
    fields = _parts(_parts(inside)[0][2])
    if fields[0][0] == 0xA0:  # the version, which the oldest certificates leave out
        fields = fields[1:]
    # serial number, algorithm, issuer, validity, subject, key
    if [field[0] for field in fields[:6]] != [0x02, 0x30, 0x30, 0x30, 0x30, 0x30]:
        raise ValueError("not the fields of a certificate")
    return fields[5][1]


def _parts(data: bytes) -> List[Tuple[int, bytes, bytes]]:
    """The values in a row of DER: tag, all its bytes, its content.

    What other readers might read another way (lengths left open, long tags) is refused, so that nobody can show one key to us
    and hold another.
    """
    found = []
    at = 0
    while at < len(data):
        start, tag, size, at = at, data[at], data[at + 1], at + 2
        if tag & 0x1F == 0x1F or size == 0x80:
            raise ValueError("not DER")
        if size & 0x80:
            more = size & 0x7F
            size, at = int.from_bytes(data[at : at + more], "big"), at + more
        if at + size > len(data):
            raise ValueError("cut off")
        found.append((tag, data[start : at + size], data[at : at + size]))
        at += size
    return found
