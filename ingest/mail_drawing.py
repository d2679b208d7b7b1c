"""Draws the picture of a mail in a process of its own: reads words and the mail, writes text and picture, within tight limits."""

import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

SECONDS = 12
"""Seconds of the processor that one picture may take."""
MEMORY = 1536 * 1024 * 1024
MOST_BYTES = 8 * 1024 * 1024
"""Bytes of what is written."""
PIXELS_PER_INCH = 120.0
_TEMPLATE = Path(__file__).with_name("mail_picture.typ")
# What a drawing never needs: whoever takes this process over by a mail finds it shut.
_SHUT = (
    "socket.",
    "subprocess.",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.system",
    "ctypes.",
    "urllib.",
    "ftplib.",
    "smtplib.",
)


def limit() -> None:
    """From here on this process ends by itself when it takes too much."""
    os.nice(10)
    for what, most in (
        (resource.RLIMIT_CPU, SECONDS), (resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_FSIZE, MOST_BYTES), (resource.RLIMIT_CORE, 0),
    ):  # fmt: skip
        resource.setrlimit(what, (most, most))


def shut() -> None:
    """From here on this process speaks with nobody and starts nothing."""

    def refuse(event: str, _args: tuple[Any, ...]) -> None:
        if event.startswith(_SHUT):
            raise PermissionError(event)

    sys.addaudithook(refuse)


def draw(told: dict[str, Any]) -> bytes:
    """The sheet as PNG: one page, however long."""
    import typst  # here, since only this process pays for loading it

    data = json.dumps(told, ensure_ascii=False).encode("utf-8", "replace").decode()
    return bytes(
        typst.compile(
            str(_TEMPLATE),
            root=str(_TEMPLATE.parent),
            format="png",
            ppi=PIXELS_PER_INCH,
            sys_inputs={"data": data},
        )
    )


def main() -> None:
    """Words in the first line as JSON, then the mail; out come the length of the text, the text and the PNG."""
    limit()
    from ingest import mail_sheet  # within the limits

    shut()
    words = json.loads(sys.stdin.buffer.readline())
    told = mail_sheet.sheet(sys.stdin.buffer.read(), words)
    text = mail_sheet.as_text(told).encode("utf-8", "replace")
    sys.stdout.buffer.write(len(text).to_bytes(4, "big") + text + draw(told))


if __name__ == "__main__":
    main()
