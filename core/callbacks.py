"""Addresses at which somebody outside calls back: kept and shown without their proof, which is added when one is sent."""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from core.errors import NotFound
from core.secrets import proof
from core.settings import settings

PATH = "/api/v1/runs/callbacks/"
HIDDEN = "hidden"
_PART = r"[A-Za-z0-9_-]{22}"
_TOKEN = re.compile(rf"({_PART})\.({_PART})\.([A-Za-z0-9_-]{{4,22}})")
_ADDRESS = re.compile(rf"({re.escape(PATH)})({_PART})\.({_PART})\.({_PART}|{HIDDEN})(?![A-Za-z0-9_-])")


def place(*names: str) -> bytes:
    """16 bytes that stand for one place of a run, such as a step's path and its iteration."""
    return hashlib.sha256("\x00".join(names).encode()).digest()[:16]


def ref(where: bytes) -> str:
    """What the row that waits at a place is called."""
    return f"callback:{_text(where)}"


def address(run: UUID, where: bytes) -> str:
    """The whole URL for a place of a run, without its proof: safe to keep, to show and to journal."""
    return f"{settings().base_url.rstrip('/')}{PATH}{_text(run.bytes)}.{_text(where)}.{HIDDEN}"


def proven(value: Any, run: str) -> Any:
    """A value as it is sent: the proof stands in each address of this run; those of other runs stay as they are."""

    def shown(found: re.Match[str]) -> str:
        begins, whose, where = found[1], found[2], found[3]
        if str(UUID(bytes=_bytes(whose))) != run:
            return found[0]
        return f"{begins}{whose}.{where}.{_text(_proof(_bytes(whose), _bytes(where)))}"

    return _each(value, lambda text: _ADDRESS.sub(shown, text) if PATH in text else text)


def hidden(value: Any) -> Any:
    """A value as it is kept: proofs that somebody sent back are taken out, also where their address is escaped or cut."""

    def kept(found: re.Match[str]) -> str:
        right = _text(_proof(_bytes(found[1]), _bytes(found[2])))
        return f"{found[1]}.{found[2]}.{HIDDEN}" if right.startswith(found[3]) else found[0]

    return _each(value, lambda text: _TOKEN.sub(kept, text))


def read(token: str) -> tuple[UUID, bytes]:
    """The run and the place that a token was made for. Raises NotFound unless its proof is right."""
    found = _ADDRESS.fullmatch(PATH + token)
    if found is not None and found[4] != HIDDEN:
        run, where = _bytes(found[2]), _bytes(found[3])
        right = f"{_text(run)}.{_text(where)}.{_text(_proof(run, where))}"
        if hmac.compare_digest(
            right, token
        ):  # as texts: the last letter of base64 has bits that mean nothing
            return UUID(bytes=run), where
    raise NotFound(
        "Nothing waits for this call: the address is not one of ours, or it was cut off when it was copied."
    )


def _proof(run: bytes, where: bytes) -> bytes:
    return proof("callback", run + where)[:16]


def _each(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {name: _each(inner, change) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_each(inner, change) for inner in value]
    return value


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "==")
