"""The picture of a mail: drawn by a process of its own, which may take only so long and so much, and speaks with nobody."""

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from core import logs
from core.errors import Invalid, TooMany
from ingest import mail_drawing

log = logs.get(__name__)

AT_ONCE = 2
"""So many are drawn at once by one process; others wait."""
WAIT = 5.0
"""Seconds to wait for one's turn."""
PATIENCE = 30.0
"""Seconds by the clock after which a drawing is given up."""
MOST_MAIL = 64 * 1024 * 1024
_ROOT = Path(__file__).parents[1]
_turns = threading.BoundedSemaphore(AT_ONCE)
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Picture:
    """A mail as its reader would roughly have seen it: as PNG, with its width and height in pixels, and the same as text."""

    png: bytes
    width: int
    height: int
    text: str


def of(raw: bytes, words: Mapping[str, str]) -> Picture:
    """Draw a mail; words: those of mail_sheet.WORDS in the reader's language.

    Raises Invalid when it cannot be drawn within the limits, TooMany when too many are being drawn.
    """
    if len(raw) > MOST_MAIL:
        raise Invalid("This mail is too large to make a picture of it; fetch the file, and read it as text.")
    return _kept(raw, tuple(words.items()))


@lru_cache(maxsize=4)  # a page, its file and the next reader want the same picture
def _kept(raw: bytes, words: tuple[tuple[str, str], ...]) -> Picture:
    if not _turns.acquire(timeout=WAIT):
        raise TooMany("Too many pictures are being made; try again in a moment.", retry_after=10)
    try:
        return _drawn(raw, dict(words))
    finally:
        _turns.release()


def _drawn(raw: bytes, words: Mapping[str, str]) -> Picture:
    command = [sys.executable, "-m", mail_drawing.__name__]
    # Files rather than pipes: what is written is bounded by the system, and neither side waits for the other.
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as made:
        given.write(json.dumps(dict(words)).encode() + b"\n" + raw)
        given.seek(0)
        try:
            ended = subprocess.run(
                command, stdin=given, stdout=made, stderr=subprocess.DEVNULL, cwd=_ROOT, timeout=PATIENCE, check=False,
                env={"RAYON_NUM_THREADS": "1", "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"},
            )  # fmt: skip
            code = ended.returncode
        except subprocess.TimeoutExpired:
            code = -9
        made.seek(0)
        said = made.read(mail_drawing.MOST_BYTES) if code == 0 else b""
    length = int.from_bytes(said[:4], "big")
    png = said[4 + length :]
    if not png.startswith(_PNG) or len(png) < 33:
        log.warning("no picture could be made of a mail", extra={"code": code, "size": len(raw)})
        raise Invalid(
            "No picture of this mail can be made: it is built so that it takes too long or cannot be read. Read it as text instead."
        )
    width, height = int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")
    return Picture(png, width, height, said[4 : 4 + length].decode("utf-8", "replace"))
