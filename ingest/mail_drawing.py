"""Draws the picture of a mail in a process of its own: reads words and the mail, writes text and picture, within tight limits."""

import contextlib
import ctypes
import importlib
import json
import os
import pkgutil
import pwd
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
_NO_NEW_PRIVS, _NEW_NET, _NEW_USER = 38, 0x40000000, 0x10000000  # linux/prctl.h, linux/sched.h
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
    with contextlib.suppress(OSError):  # the systemd unit lets nobody change priorities
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


def alone() -> None:
    """Leave the network, where the kernel lets us: in a namespace of its own a process finds nobody.

    Without the right to do so it tries with a user namespace; where that is shut, too, shut() has to do.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
    if libc.unshare(_NEW_NET) != 0 and os.geteuid() != 0:
        libc.unshare(_NEW_USER | _NEW_NET)


def drop() -> None:
    """Whoever began as root goes on as nobody; what nobody could not read of this program has been read before."""
    if os.geteuid() != 0:
        return
    with contextlib.suppress(OSError, KeyError):  # a container may keep even its root from changing
        nobody = pwd.getpwnam("nobody")
        os.setgroups([])
        os.setegid(nobody.pw_gid)
        os.seteuid(nobody.pw_uid)
        blind = not all(os.access(file, os.R_OK, effective_ids=True) for file in (os.__file__, __file__))
        os.seteuid(0)
        if blind:
            _learn()
        os.setresgid(nobody.pw_gid, nobody.pw_gid, nobody.pw_gid)
        os.setresuid(nobody.pw_uid, nobody.pw_uid, nobody.pw_uid)


def _learn() -> None:
    """Import what reading a mail may need, where it could not be imported later: a program in its owner's home."""
    import email
    import encodings

    from ingest import mail_sheet

    for package in (email, encodings):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            with contextlib.suppress(ImportError):  # encodings of another system
                importlib.import_module(module.name)
    parts = "".join(f"--b\r\nContent-Type: text/{kind}; charset=utf-8\r\n\r\n<p>x</p>\r\n" for kind in ("plain", "html"))
    inner = f'Subject: x\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n{parts}'
    mail_sheet.sheet(f"{inner}--b\r\nContent-Type: message/rfc822\r\n\r\n{inner}--b--\r\n".encode(), {})


def draw(told: dict[str, Any], template: bytes) -> bytes:
    """The sheet as PNG: one page, however long."""
    import typst  # here, since only this process pays for loading it

    data = json.dumps(told, ensure_ascii=False).encode("utf-8", "replace").decode()
    seen = os.access(_TEMPLATE.parent, os.R_OK | os.X_OK)
    made = typst.compile(  # type: ignore[call-overload]  # it takes bytes with a root that is a path
        template,
        root=str(_TEMPLATE.parent) if seen else "/",  # the template reads no file
        format="png",
        ppi=PIXELS_PER_INCH,
        sys_inputs={"data": data},
    )
    return bytes(made)


def main() -> None:
    """Words in the first line as JSON, then the mail; out come the length of the text, the text and the PNG."""
    limit()
    alone()
    import typst  # noqa: F401 - within the limits, and before drop(): nobody may not be able to read it
    from ingest import mail_sheet

    template = _TEMPLATE.read_bytes()
    drop()
    shut()
    words = json.loads(sys.stdin.buffer.readline())
    told = mail_sheet.sheet(sys.stdin.buffer.read(), words)
    text = mail_sheet.as_text(told).encode("utf-8", "replace")
    sys.stdout.buffer.write(len(text).to_bytes(4, "big") + text + draw(told, template))


if __name__ == "__main__":
    main()
