"""Rings Tocsin as a tool would: a source with a mapping of its own, alerts over HTTP, and what came of them."""

import os
from typing import Any

import httpx
import yaml
from running_tocsin import Tocsin
from sqlalchemy import create_engine, make_url, text

MAPPING = {
    "mapping": {
        "title": "title",
        "severity": {
            "from": "severity",
            "values": {w: w for w in ("critical", "high", "medium", "low", "info")},
        },
        "external_id": "id",
        "fingerprint": ["id"],
        "category": "category",
        "rule_name": "rule",
        "entities": [
            {"type": "host", "from": "host", "role": "target"},
            {"type": "user", "from": "user", "role": "victim"},
            {"type": "ip", "from": "src_ip", "role": "source"},
        ],
    }
}


class Bell:
    """One source of an installation, and its secret."""

    def __init__(self, tocsin: Tocsin, name: str = "gate") -> None:
        mapping = tocsin.data / f"{name}.yaml"
        mapping.parent.mkdir(parents=True, exist_ok=True)
        mapping.write_text(yaml.safe_dump(MAPPING), encoding="utf-8")
        added = tocsin.json("source", "add", name, "--no-learning", "--connector", "generic_json", "--mapping", str(mapping))
        self.id: str = added["id"]
        self.name = name
        self.url = f"{tocsin.url}/ingest/{name}"
        self.headers = {"Authorization": f"Bearer {added['token']}"}

    def ring(self, client: httpx.Client, **alert: Any) -> httpx.Response:
        """POST one alert: `id`, `title` and `severity` unless given otherwise."""
        alert = {"id": os.urandom(6).hex(), "title": "Something rang", "severity": "low", **alert}
        return client.post(self.url, json=alert, headers=self.headers)


def rows(tocsin: Tocsin, statement: str, **values: Any) -> list[tuple[Any, ...]]:
    """What plain SQL reads from the installation's database, past all of Tocsin's own code."""
    url = make_url(tocsin.env.get("TOCSIN_DATABASE_URL", f"sqlite:///{tocsin.data / 'tocsin.db'}"))
    if url.get_backend_name() == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement), values)]
    finally:
        engine.dispose()


def count(tocsin: Tocsin, statement: str, **values: Any) -> int:
    """The one number that a statement reads."""
    return int(rows(tocsin, statement, **values)[0][0])
