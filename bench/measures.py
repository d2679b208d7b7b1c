"""The four things measured: alerts accepted, alerts through to incidents, steps run, a webhook's way to a mail."""

import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Engine, create_engine, make_url, text

from bench import installation
from bench.figures import Figure
from bench.installation import Installation
from bench.load import Load, Sent, send


def accepts(kind: str, repeat: int, seconds: float) -> Iterator[Figure]:
    """How many alerts a second one process stores durably for 16 clients, and how long the slowest wait."""
    with installation.installed(kind) as made:
        source = _source(made)
        with made.running():
            runs = [_accepting(made, source, number, seconds) for number in range(repeat)]
    yield from _accepted(kind, runs, "all in one process, alerts are processed meanwhile")
    if kind == "postgresql":
        with installation.redis() as redis, installation.installed(kind, TOCSIN_REDIS_URL=redis) as made:
            source = _source(made)
            with made.running("web"):
                runs = [_accepting(made, source, number, seconds) for number in range(repeat)]
        yield from _accepted(kind, runs, "one web process, workers elsewhere")


def through(kind: str, repeat: int, seconds: float) -> Iterator[Figure]:
    """How many alerts a second go all the way: accepted, read, deduplicated, grouped; the backlog drained."""
    count = max(2000, int(seconds * 1000))
    for duplicates in (90, 0):
        rates: list[float] = []
        with installation.installed(kind) as made:
            source = _source(made)
            with made.running(), _reader(made) as engine:
                for number in range(repeat):
                    started = time.perf_counter()
                    sent = send(
                        Load(
                            _url(made, source),
                            source["token"],
                            total=count,
                            duplicates=duplicates,
                            seed=number,
                        )
                    )
                    _until_drained(engine)
                    rates.append(sent.accepted / (time.perf_counter() - started))
        mark = 500.0 if duplicates else None
        yield Figure(f"alerts to incidents, {duplicates} % duplicates", kind, "1/s", tuple(rates), mark)


def steps(kind: str, repeat: int, _seconds: float) -> Iterator[Figure]:
    """How many steps a second: 200 runs of 10 steps without effects, each step durable."""
    with installation.installed(kind) as made:
        values = [float(_inside(made, "bench.stepping").split()[-1]) for _ in range(repeat)]
    yield Figure("steps of 200 runs x 10", kind, "1/s", tuple(values), 300)


def handover(kind: str, _repeat: int, seconds: float) -> Iterator[Figure]:
    """How long from a webhook's arrival until the page's mail is in the mail server's hands."""
    with installation.installed(kind) as made:
        said = _inside(made, "bench.handing", str(max(20, int(seconds * 5))))
    p50, p99 = map(float, said.split()[-2:])
    yield Figure("webhook to e-mail, p50", kind, "ms", (p50,), 500, more_is_better=False)
    yield Figure("webhook to e-mail, p99", kind, "ms", (p99,), more_is_better=False)


def _source(made: Installation) -> Any:
    mapping = str(installation.ROOT / "bench" / "mapping.yaml")
    return made.json("source", "add", "bench", "--connector", "generic_json", "--mapping", mapping)


def _url(made: Installation, source: Any) -> str:
    return f"{made.url}/ingest/{source['name']}"


def _accepting(made: Installation, source: Any, number: int, seconds: float) -> Sent:
    sent = send(Load(_url(made, source), source["token"], seconds=seconds, seed=number))
    if sent.refused > sent.accepted / 100:
        print(f"  {sent.refused} of {sent.accepted + sent.refused} were refused", file=sys.stderr)
    return sent


def _accepted(kind: str, runs: list[Sent], remark: str) -> Iterator[Figure]:
    notes: dict[str, float | str] = {"client": runs[0].client, "refused": sum(run.refused for run in runs)}
    yield Figure(
        "durable accepts", kind, "1/s", tuple(r.rate for r in runs), 2000, remark=f"({remark})", notes=notes
    )
    p99 = tuple(run.p99 for run in runs)
    yield Figure("durable accepts, p99", kind, "ms", p99, more_is_better=False, notes=notes)


def _reader(made: Installation) -> "_Disposing":
    url = make_url(made.database_url)
    if url.get_backend_name() == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    return _Disposing(create_engine(url))


class _Disposing:
    """An engine that is disposed of at the end of a with block."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def __enter__(self) -> Engine:
        return self.engine

    def __exit__(self, *_: object) -> None:
        self.engine.dispose()


def _until_drained(engine: Engine) -> None:
    for _ in range(6000):
        with engine.connect() as connection:
            if not connection.scalar(text("SELECT count(*) FROM deliveries WHERE due_at IS NOT NULL")):
                return
        time.sleep(0.02)
    raise SystemExit("the backlog was not drained within two minutes")


def _inside(made: Installation, module: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], env=made.env, cwd=installation.ROOT, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{module} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout
