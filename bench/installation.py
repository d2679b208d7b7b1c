"""A Tocsin to measure: its own data directory, a database of its own, and its processes."""

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Engine, create_engine, make_url

from bench.processes import Running, free_port, plain_environment, running
from bench.servers import Postgres, Redis

ROOT = Path(__file__).resolve().parents[1]
COMMAND = (sys.executable, "-m", "cli")  # of this checkout, wherever the command was installed from
KEY = "a key for the harness, which is at least 32 characters long"


@dataclass(frozen=True)
class Source:
    """Where alerts are sent to: the path below a web process, and the token."""

    path: str
    token: str


class Installation:
    """`tocsin` commands and processes on one database; `kind` is "sqlite" or "postgresql"."""

    def __init__(self, kind: str, folder: Path, database_url: str, redis_url: str | None) -> None:
        self.kind = kind
        self.folder = folder
        self.database_url = database_url
        self.env = {
            **plain_environment(),
            "TOCSIN_DATA_DIR": str(folder),
            "TOCSIN_DATABASE_URL": database_url,
            "TOCSIN_SECRET_KEY": KEY,
            "TOCSIN_PORT": str(free_port()),
            "TOCSIN_EGRESS_ALLOW": "127.0.0.0/8",
            "TOCSIN_PLAYBOOKS": str(ROOT / "bench" / "playbooks.yaml"),
            **({"TOCSIN_REDIS_URL": redis_url} if redis_url else {}),
        }

    def run(self, *arguments: str) -> str:
        """Run a command to its end; returns what it printed."""
        return self._run([*COMMAND, *arguments])

    def inside(self, module: str, *arguments: str, **env: str) -> str:
        """Run a module of the harness in this installation's environment; returns what it printed."""
        return self._run([sys.executable, "-m", module, *arguments], **env)

    def source(self, name: str = "bench") -> Source:
        """Add a source that reads the harness's alerts."""
        mapping = str(ROOT / "bench" / "mapping.yaml")
        told: Any = json.loads(
            self.run("source", "add", name, "--no-learning", "--connector", "generic_json", "--mapping", mapping, "--json")
        )
        return Source(f"/ingest/{name}", told["token"])

    @contextlib.contextmanager
    def running(self, *commands: str, **env: str) -> Iterator[list[Running]]:
        """Run processes ("serve", or "web", "worker"…) for the length of the block; what serves is waited for."""
        with contextlib.ExitStack() as stack:
            found = []
            for number, command in enumerate(commands):
                port = self.env["TOCSIN_PORT"] if number == 0 else str(free_port())
                serves = command in ("serve", "web")
                one = running(
                    [*COMMAND, command], env={**self.env, **env, "TOCSIN_PORT": port}, folder=ROOT, name=command,
                    log=self.folder / f"{number}-{command}.log", ready=f"http://127.0.0.1:{port}/readyz" if serves else "",
                )  # fmt: skip
                found.append(stack.enter_context(one))
            yield found

    @contextlib.contextmanager
    def reader(self) -> Iterator[Engine]:
        """An engine on its database, to look at what became of things."""
        url = make_url(self.database_url)
        if url.get_backend_name() == "postgresql":
            url = url.set(drivername="postgresql+psycopg")
        engine = create_engine(url, pool_size=1)
        try:
            yield engine
        finally:
            engine.dispose()

    def _run(self, command: list[str], **env: str) -> str:
        done = subprocess.run(
            command, env={**self.env, **env}, cwd=ROOT, capture_output=True, text=True, check=False
        )
        if done.returncode:
            said = f"{done.stdout[-2000:]}{done.stderr[-4000:]}"
            raise SystemExit(f"{' '.join(command[:6])} failed:\n{said}")
        return done.stdout


class Bench:
    """What a measure is given: servers, how often to repeat, how long to load (s), sizes to fill to, how long to soak (min)."""

    def __init__(self, repeat: int, seconds: float, sizes: tuple[int, ...] = (), minutes: float = 10) -> None:
        self.repeat = repeat
        self.seconds = seconds
        self.sizes = sizes
        self.minutes = minutes
        self._stack = contextlib.ExitStack()
        self._postgres: Postgres | None = None
        self._redis: Redis | None = None

    def __enter__(self) -> Self:
        return self

    @property
    def fewer(self) -> int:
        """How often to repeat where no peer stands beside us."""
        return min(3, self.repeat)

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def postgres(self) -> Postgres:
        """The PostgreSQL of this run, started when first asked for."""
        if self._postgres is None:
            self._postgres = Postgres()
            self._stack.callback(self._postgres.stop)
        return self._postgres

    @property
    def redis(self) -> Redis:
        """The Redis of this run, started when first asked for."""
        if self._redis is None:
            self._redis = Redis()
            self._stack.callback(self._redis.stop)
        return self._redis

    @contextlib.contextmanager
    def installed(self, kind: str, *, scaled: bool = False) -> Iterator[Installation]:
        """A new installation on an empty database, migrated; `scaled` gives it Redis. All is removed afterwards."""
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tocsin-bench-")))
            if kind == "sqlite":
                url = f"sqlite:///{folder / 'tocsin.db'}"
            else:
                url = stack.enter_context(self.postgres.database())
            if scaled:
                self.redis.empty()
            made = Installation(kind, folder, url, self.redis.url if scaled else None)
            made.run("migrate")
            yield made
