"""Tells systemd how this process is doing, where it was started by it with Type=notify (sd_notify(3))."""

import os
import socket
from contextlib import suppress


def tell(state: str) -> None:
    """Send a state such as READY=1 or STOPPING=1; nothing happens where nobody listens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.sendto(state.encode(), address.replace("@", "\0", 1) if address[0] == "@" else address)
