"""A far end that takes every connection and never says a word: the way servers fail that costs others most."""

import socket
import threading


class Hanging:
    """Accepts on 127.0.0.1 and keeps silent until `stop()`, which breaks every connection off."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._taken: list[socket.socket] = []
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def taken(self) -> int:
        """How many connections it holds."""
        return len(self._taken)

    def stop(self) -> None:
        """Break everything off."""
        self._listener.close()
        for one in self._taken:
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                self._taken.append(self._listener.accept()[0])
            except OSError:
                return
