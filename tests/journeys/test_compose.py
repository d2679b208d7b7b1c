"""The scaled shape: the very commands of docker-compose.yml, as processes, on a real PostgreSQL and Redis."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from free_ports import wait_until
from real_servers import Redis
from ringing import Bell
from running_tocsin import Tocsin
from tables_ready import ROOT

GIVEN = {"POSTGRES_PASSWORD": "p", "TOCSIN_SECRET_KEY": "thirty-two characters at the very least"}
OURS = ("migrate", "web", "worker", "beat")


def _filled(node: Any) -> Any:
    """Fill in variables after parsing, as Docker does: an empty default is then empty text, not YAML's null."""
    if isinstance(node, dict):
        return {name: _filled(value) for name, value in node.items()}
    if isinstance(node, list):
        return [_filled(item) for item in node]
    if isinstance(node, str):
        return re.sub(r"\$\{(\w+)(?::([-?])([^}]*))?\}", _value, node)
    return node


def _value(found: re.Match[str]) -> str:
    name, kind, default = found.groups()
    assert name in GIVEN or kind == "-", f"docker-compose.yml needs {name}, which is not given"
    return GIVEN.get(name, default)


def _compose() -> dict[str, Any]:
    loaded: dict[str, Any] = _filled(
        yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    )
    return loaded


@pytest.fixture
def compose() -> dict[str, Any]:
    """docker-compose.yml as Docker would read it, with the two secrets given."""
    return _compose()


def test_every_service_is_limited_and_ours_are_not_root(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        if name != "migrate":
            assert service["deploy"]["resources"]["limits"]["memory"], name
        assert service.get("healthcheck") or name == "web", name  # web has the image's own
        if name in OURS:
            assert service["read_only"]
            assert service["cap_drop"] == ["ALL"]
    assert re.search(r"^USER tocsin$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)


def test_what_the_image_copies_is_what_tocsin_needs() -> None:
    kept = (ROOT / ".dockerignore").read_text(encoding="utf-8")
    packages = re.search(
        r"module-name = \[(.*?)\]", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.DOTALL
    )
    assert packages
    for name in [*re.findall(r'"(\w+)"', packages[1]), "playbooks.yaml", "pyproject.toml", "uv.lock"]:
        assert f"!{name}\n" in kept, name


@pytest.mark.slow
def test_its_commands_take_an_alert_to_an_incident(
    compose: dict[str, Any],
    tocsin: Callable[..., Tocsin],
    new_postgres: Callable[[], str],
    redis_server: Redis,
) -> None:
    services = compose["services"]
    environment = {**services["web"]["environment"]}
    # Only the addresses differ: Docker's names for services stand for these.
    environment |= {"TOCSIN_DATABASE_URL": new_postgres(), "TOCSIN_REDIS_URL": redis_server.url}
    environment["TOCSIN_HOST"] = "127.0.0.1"
    del environment["TOCSIN_DATA_DIR"]
    scaled = tocsin(**environment)
    scaled.run(*services["migrate"]["command"])
    long_running = [" ".join(services[name]["command"]) for name in ("web", "worker", "beat")]
    scaled.start(*long_running)

    with scaled.client() as client:
        assert client.get("/healthz").status_code == 200
        bell = Bell(scaled)
        token = scaled.json("token", "create", "--name", "test")["token"]
        answer = bell.ring(client, title="Beacon from finance-7", severity="critical")
        assert answer.status_code == 202, answer.text

        def incidents() -> list[dict[str, Any]]:
            found = client.get("/api/v1/incidents", headers={"Authorization": f"Bearer {token}"})
            assert found.status_code == 200, found.text
            items: list[dict[str, Any]] = found.json()["items"]
            return items

        wait_until(incidents, seconds=20, what="the incident")
        assert incidents()[0]["title"] == "Beacon from finance-7"
    assert scaled.stop() < 10
