"""More than one process can take, or no database to keep it in: senders are told when to come back, and it recovers by itself."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import postgres_once
import psycopg
import pytest
from free_ports import wait_until
from ringing import Bell, count
from running_tocsin import Tocsin
from sqlalchemy import create_engine, text

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
ENGINES = ("sqlite", "postgresql")
CROWD = 2_100  # connections; a process takes 2,000


@contextmanager
def held_up(tocsin: Tocsin) -> Iterator[None]:
    """Nobody can write deliveries for the length of the block."""
    url = tocsin.env.get("TOCSIN_DATABASE_URL")
    if url is None:
        engine = create_engine(f"sqlite:///{tocsin.data / 'tocsin.db'}")
        statement = "BEGIN IMMEDIATE"
    else:
        engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:", 1))
        statement = "LOCK TABLE deliveries IN SHARE MODE"
    with engine.connect() as connection:
        if url is None:
            connection.connection.dbapi_connection.isolation_level = None  # type: ignore[union-attr]  # sqlite3's
            connection.connection.cursor().execute(statement)
        else:
            connection.execute(text(statement))
        yield
        connection.rollback()
    engine.dispose()


async def _one(bell: Bell, port: int, serial: int, gathered: asyncio.Semaphore) -> tuple[int, str]:
    """Send one alert on a connection of its own; the status and Retry-After of the answer."""
    body = json.dumps({"id": f"crowd-{serial}", "title": "x", "severity": "low"})
    head = f"POST /ingest/{bell.name} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in bell.headers.items())
    async with gathered:  # so many connect at a time; all stay
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{head}\r\n{body}".encode())
        await writer.drain()
    answer = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    lines = answer.decode().split("\r\n")
    wait = [line.partition(":")[2].strip() for line in lines if line.lower().startswith("retry-after:")]
    return int(lines[0].split()[1]), wait[0] if wait else ""


async def _crowd(
    bell: Bell, port: int, refused: asyncio.Event, release: Callable[[], None]
) -> list[tuple[int, str]]:
    gathered = asyncio.Semaphore(50)

    async def one(serial: int) -> tuple[int, str]:
        answer = await _one(bell, port, serial, gathered)
        if answer[0] == 503:
            refused.set()
        return answer

    sent = [asyncio.create_task(one(serial)) for serial in range(CROWD)]
    await asyncio.wait_for(refused.wait(), 60)
    await asyncio.sleep(0.5)
    await asyncio.to_thread(release)
    return await asyncio.gather(*sent)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_crowd_is_told_when_to_come_back(
    tocsin: Callable[..., Tocsin], new_postgres: Callable[[], str], engine: str
) -> None:
    installation = tocsin(
        **({"TOCSIN_DATABASE_URL": new_postgres()} if engine == "postgresql" else {})
    ).start()
    bell = Bell(installation)
    with installation.client() as client:
        assert bell.ring(client).status_code == 202  # the door knows the source from now on
    lock = held_up(installation)
    lock.__enter__()
    answers = asyncio.run(
        _crowd(bell, installation.port, asyncio.Event(), lambda: lock.__exit__(None, None, None))  # type: ignore[arg-type]  # its result is nobody's business
    )
    told = Counter(answers)
    assert {status for status, _ in told} == {202, 503}, told
    assert all(wait.isdecimal() for status, wait in told if status == 503), "a refusal says when to come back"
    with installation.client() as client:
        assert bell.ring(client, id="later").status_code == 202, "it has recovered by itself"
    wait_until(
        lambda: count(installation, "SELECT count(*) FROM deliveries WHERE due_at IS NOT NULL") == 0, seconds=60,
        what="the backlog",
    )  # fmt: skip
    taken = sum(times for (status, _), times in told.items() if status == 202)
    there = "SELECT count(*) FROM alerts WHERE external_id LIKE 'crowd-%'"
    assert count(installation, there) >= taken, "what was acknowledged is there"


def test_a_database_that_goes_away_and_comes_back(
    tocsin: Callable[..., Tocsin], new_postgres: Callable[[], str]
) -> None:
    url = new_postgres()
    name = url.partition("?")[0].rpartition("/")[2]
    installation = tocsin(TOCSIN_DATABASE_URL=url).start()
    bell = Bell(installation)
    with installation.client() as client:
        assert bell.ring(client).status_code == 202
        postgres_once.run(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        with psycopg.connect(postgres_once.url(), autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        gone: httpx.Response = bell.ring(client, id="gone")
        assert (gone.status_code, gone.headers["Retry-After"].isdecimal()) == (503, True), gone.text
        assert client.get("/readyz").status_code == 503
        assert client.get("/healthz").status_code == 200
        postgres_once.run(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        wait_until(lambda: bell.ring(client, id="back").status_code == 202, what="it to recover by itself")
        assert client.get("/readyz").status_code == 200
    there = "SELECT count(*) FROM alerts WHERE external_id = 'back'"
    wait_until(lambda: count(installation, there) == 1, what="the work to go on")
