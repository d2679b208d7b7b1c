"""A process that has imported Tocsin once and forks a new `tocsin` process in milliseconds, as often as it is asked.

Run as a program: reads lines of JSON {"name", "arguments", "env", "log"} or {"kill": pid}, answers {"name", "born": pid}
and, whenever one ends, {"name", "died": pid, "signal", "code"}. What it forks is a process like any other: its own id,
threads and connections; it dies by SIGKILL with this one.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import furnish

ROOT = Path(__file__).resolve().parents[2]
_PARENT_DEATH = 1  # PR_SET_PDEATHSIG of prctl(2)


class Nursery:
    """The test's end of it."""

    def __init__(self, died: Callable[[str, int, int | None], None]) -> None:
        self._born: dict[str, int] = {}
        self._ready = threading.Condition()
        self._died = died
        self._process = subprocess.Popen(
            [sys.executable, __file__], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._writing = threading.Lock()

    def fork(self, name: str, arguments: list[str], env: Mapping[str, str], log: Path) -> int:
        """Start `tocsin <arguments>`; returns its process id."""
        with self._ready:
            self._born.pop(name, None)
        self._ask({"name": name, "arguments": arguments, "env": dict(env), "log": str(log)})
        with self._ready:
            assert self._ready.wait_for(lambda: name in self._born, 60), f"{name} was not born within 60 s"
            return self._born[name]

    def kill(self, pid: int) -> None:
        """SIGKILL to one of its own; one that has ended already is left alone, so that no other can be hit."""
        self._ask({"kill": pid})

    def _ask(self, asked: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        with self._writing:
            self._process.stdin.write(json.dumps(asked) + "\n")
            self._process.stdin.flush()

    def end(self) -> None:
        """Kill all that still runs."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._reader.join(30)
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told = json.loads(line)
            if "born" in told:
                with self._ready:
                    self._born[told["name"]] = told["born"]
                    self._ready.notify_all()
            else:
                self._died(told["name"], told["died"], told["signal"])


def _main() -> None:
    sys.path.insert(0, str(ROOT))
    from cli import assemble
    from connectors import registry
    from core import plugins
    from notify.registry import all_channels

    assemble.load()
    for name in ("serve", "web", "worker", "beat"):
        importlib.import_module(f"cli.commands.{name}")
    for name in (
        "web.app", "uvicorn.loops.uvloop", "uvicorn.protocols.http.httptools_impl", "uvicorn.lifespan.on", "celery.bin.worker",
        "celery.apps.worker", "celery.concurrency.thread", "celery.worker.consumer", "celery.worker.components",
        "kombu.transport.redis", "sqlalchemy.dialects.postgresql.psycopg", "sqlalchemy.dialects.sqlite.pysqlite", "alembic.command",
    ):  # fmt: skip
        importlib.import_module(name)
    for package in ("web.routes", "web.api", "connectors.catalog", "notify.channels", "playbooks.steps"):
        for name in plugins.module_names(package):
            importlib.import_module(f"{package}.{name}")
    # What every process works out once in its life is worked out here, once for all.
    from sqlalchemy.orm import configure_mappers

    configure_mappers()
    registry.actions()
    registry.verbs()
    all_channels()
    gc.freeze()
    ends, children = os.pipe(), dict[int, str]()
    os.set_blocking(ends[1], False)
    signal.set_wakeup_fd(ends[1], warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    events = selectors.DefaultSelector()
    events.register(0, selectors.EVENT_READ)
    events.register(ends[0], selectors.EVENT_READ)
    waiting = b""
    while True:
        for key, _ in events.select():
            if key.fd == 0:
                given = os.read(0, 65_536)
                if not given:
                    _end(children)
                    return
                waiting += given
                *lines, waiting = waiting.split(b"\n")
                for line in lines:
                    asked = json.loads(line)
                    if "kill" in asked:
                        if asked["kill"] in children:
                            os.kill(asked["kill"], signal.SIGKILL)
                        continue
                    child = os.fork()
                    if child == 0:
                        signal.set_wakeup_fd(-1)
                        os.close(ends[0])
                        os.close(ends[1])
                        _live(asked)
                    children[child] = asked["name"]
                    _say(name=asked["name"], born=child)
            else:
                os.read(ends[0], 4096)
        _reap(children)


def _live(asked: Mapping[str, Any]) -> None:
    """Become the process that was asked for; never returns."""
    code = 1
    try:
        with contextlib.suppress(OSError, AttributeError):  # only Linux has it
            ctypes.CDLL(None).prctl(_PARENT_DEATH, signal.SIGKILL)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for there, here in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(there, here)
        os.environ.clear()
        os.environ.update(asked["env"])
        if asked["arguments"] == ["furnish"]:
            furnish.furnish()
            sys.exit(0)
        from cli.main import main
        from core import crashpoints

        crashpoints.arm(os.environ)
        sys.argv = ["tocsin", *asked["arguments"]]
        main(asked["arguments"])
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:  # whatever it was goes to the log, as it would at the end of any process
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def _reap(children: dict[int, str]) -> None:
    while children:
        child, status = os.waitpid(-1, os.WNOHANG)
        if child == 0:
            return
        by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        _say(name=children.pop(child), died=child, signal=by, code=None if by else os.WEXITSTATUS(status))


def _end(children: Mapping[int, str]) -> None:
    for child in children:
        os.kill(child, signal.SIGKILL)
    for child in children:
        os.waitpid(child, 0)


def _say(**told: Any) -> None:
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    _main()
