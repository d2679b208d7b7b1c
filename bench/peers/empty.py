"""An application that keeps nothing and answers at once, on the same server as ours: how far any door could get here."""

import contextlib
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from bench.processes import Running, free_port, plain_environment, running

NAME = "a door that keeps nothing"
_NOBODY = "00000000-0000-0000-0000-000000000000"
_ANSWER = f'{{"id":"{_NOBODY}","receipt":"{_NOBODY}","status":"accepted"}}'.encode()
_HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(_ANSWER))]


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Running]:
    """Serve it for the length of the block."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with running(
        [sys.executable, "-m", "bench.peers.empty", str(port)], env=plain_environment(),
        folder=Path(__file__).resolve().parents[2], log=folder / "empty.log", ready=address + "/readyz", name=NAME,
    ) as found:  # fmt: skip
        yield Running(found.name, found.process, address)


async def _application(
    scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
) -> None:
    await receive()
    status = 200 if scope["path"] == "/readyz" else 202
    await send({"type": "http.response.start", "status": status, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": _ANSWER})


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(
        _application, host="127.0.0.1", port=int(sys.argv[1]), log_config=None, access_log=False, server_header=False,
        proxy_headers=False, lifespan="off",
    )  # fmt: skip
