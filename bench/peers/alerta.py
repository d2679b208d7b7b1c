"""Alerta as its manual runs it: gunicorn with two workers of eight threads, PostgreSQL, no authentication, default plugins."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from bench import peers
from bench.processes import Running, free_port, plain_environment, running

NAME = f"Alerta {peers.version('alerta', 'alerta-server')}"
PATH = "/alert"


@contextlib.contextmanager
def serving(database_url: str, folder: Path) -> Iterator[Running]:
    """Serve on this empty database for the length of the block.

    Its first start is with one worker: two of them race for the schema of an empty database and one falls over.
    """
    settings = folder / "alertad.conf"
    settings.write_text("AUTH_REQUIRED = False\nRATE_LIMIT = None\n", encoding="utf-8")
    env = {
        **plain_environment(),
        "DATABASE_URL": database_url,
        "ALERTA_SVR_CONF_FILE": str(settings),
        "SECRET_KEY": "only loopback",
    }
    with _gunicorn(env, folder, workers=1):
        pass
    with _gunicorn(env, folder, workers=2) as found:
        yield found


@contextlib.contextmanager
def _gunicorn(env: dict[str, str], folder: Path, *, workers: int) -> Iterator[Running]:
    port = free_port()
    command = [
        peers.python("alerta"), "-m", "gunicorn", "--worker-class", "gthread", "--workers", str(workers),
        "--threads", "8", "--keep-alive", "30", "--bind", f"127.0.0.1:{port}", "alerta:create_app()",
    ]  # fmt: skip
    with running(
        command, env=env, folder=folder, log=folder / "alerta.log", ready=f"http://127.0.0.1:{port}/management/healthcheck",
        name=NAME,
    ) as found:  # fmt: skip
        yield Running(found.name, found.process, f"http://127.0.0.1:{port}")
