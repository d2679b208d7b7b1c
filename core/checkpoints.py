"""A checkpoint: the journal's length and root at one moment, signed, as text that anybody can keep (C2SP signed note)."""

import base64
import email
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.policy import default as modern
from functools import cached_property
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from core.errors import Invalid

_ED25519 = b"\x01"  # the signature type in key ids and verifier keys (c2sp.org/signed-note)
_B64 = r"[A-Za-z0-9+/]+={0,2}"
_NOTE = re.compile(
    rf"^[ \t>]*(?P<origin>[^\s+]+)\n[ \t>]*(?P<size>\d{{1,18}})\n[ \t>]*(?P<root>{_B64})\n"
    rf"[ \t>]*at (?P<at>[\dTZ:.-]+)\n[ \t>]*\n[ \t>]*\u2014 (?P<name>[^\s+]+) (?P<signature>{_B64})[ \t]*$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class PublicKey:
    """A key that checks signatures; its text (`name+id+key`) is what is shown, noted down and given to `--key`."""

    name: str
    raw: bytes

    @property
    def id(self) -> bytes:
        """Four bytes that name it in a signature."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.raw).digest()[:4]

    @property
    def text(self) -> str:
        """The verifier key as C2SP writes it."""
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(_ED25519 + self.raw).decode()}"

    @classmethod
    def read(cls, text: str) -> "PublicKey":
        """A key from its text. Raises Invalid when a letter is wrong."""
        name, _, rest = text.strip().partition("+")
        given_id, _, encoded = rest.partition("+")
        try:
            raw = base64.b64decode(encoded, validate=True)
        except ValueError:
            raw = b""
        key = cls(name, raw[1:])
        if len(raw) != 33 or raw[:1] != _ED25519 or key.id.hex() != given_id:
            raise Invalid(
                "This is not a public key of a journal, or a letter of it is wrong: it reads name+8 hex digits+base64, "
                "as `tocsin audit checkpoint` shows it."
            )
        return key


@dataclass(frozen=True)
class Checkpoint:
    """What was signed: the first `size` entries had this `root` at that time; `signature` covers `text`."""

    origin: str
    size: int
    root: bytes
    at: datetime
    key_id: bytes
    signature: bytes

    @cached_property
    def text(self) -> str:
        """The lines that the signature covers."""
        root = base64.b64encode(self.root).decode()
        return f"{self.origin}\n{self.size}\n{root}\nat {_written(self.at)}\n"

    @property
    def note(self) -> str:
        """The whole checkpoint, as it is kept and sent."""
        return (
            f"{self.text}\n\u2014 {self.origin} {base64.b64encode(self.key_id + self.signature).decode()}\n"
        )

    def signed_by(self, raw: bytes) -> bool:
        """Whether the key with these 32 bytes made the signature."""
        if self.key_id != PublicKey(self.origin, raw).id:
            return False
        try:
            Ed25519PublicKey.from_public_bytes(raw).verify(self.signature, self.text.encode())
        except (InvalidSignature, ValueError):
            return False
        return True


def sign(key: Ed25519PrivateKey, origin: str, size: int, root: bytes, at: datetime) -> Checkpoint:
    """A signed checkpoint; `origin` names the journal and must hold neither white space nor a plus."""
    raw = key.public_key().public_bytes_raw()
    unsigned = Checkpoint(origin, size, root, at.astimezone(UTC), PublicKey(origin, raw).id, b"")
    return Checkpoint(origin, size, root, unsigned.at, unsigned.key_id, key.sign(unsigned.text.encode()))


def read(text: str) -> Checkpoint:
    """The checkpoint in a text: the note itself, or a mail or page it was kept in. Raises Invalid."""
    whole = text.replace("\r\n", "\n")
    found = _NOTE.search(whole) or (_NOTE.search(_parts(whole)) if "MIME-Version:" in whole else None)
    if found is None or found["name"] != found["origin"]:
        raise Invalid(
            "There is no checkpoint in this file: it has the journal's name, a number, a hash and a time, a line each, "
            "an empty line, and a line that begins with a dash (\u2014) and the name again."
        )
    try:
        root = base64.b64decode(found["root"], validate=True)
        signature = base64.b64decode(found["signature"], validate=True)
        at = datetime.fromisoformat(found["at"])
    except ValueError as error:
        raise Invalid(
            "The checkpoint in this file cannot be read: it has been cut off or altered."
        ) from error
    return Checkpoint(
        found["origin"], int(found["size"]), root, at.astimezone(UTC), signature[:4], signature[4:]
    )


def _written(at: datetime) -> str:
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _parts(mail: str) -> str:
    message = email.message_from_string(mail, policy=modern)
    return "\n".join(
        str(part.get_content()).replace("\r\n", "\n")
        for part in message.walk()
        if part.get_content_maintype() == "text"
    )
