"""The scaled shape: the very commands of docker-compose.yml, as processes, on a real PostgreSQL and Redis."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from free_ports import wait_until
from real_servers import Redis
from ringing import Bell
from running_tocsin import Tocsin
from tables_ready import ROOT

from core import connections
from core.settings import Settings

GIVEN: dict[str, str] = {}  # every variable has its default; secrets are files
SECRETS = {"postgres_password": "p/@:%", "secret_key": "thirty-two characters at the very least"}
OURS = ("migrate", "web", "worker", "mail", "watch", "beat")
SECRET = ("SMTP_URL", "IMAP_URL", "REPORT_CODE", "SIGNING_KEY", "WITNESS", "WATCH_NOTIFY", "HEARTBEAT_URL")


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
    """docker-compose.yml as Docker would read it."""
    return _compose()


def test_every_service_is_limited_watched_and_ours_are_not_root(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        limits = service["deploy"]["resources"]["limits"]
        assert limits["memory"], name
        assert limits["cpus"], name
        if name not in ("migrate", "web"):  # one ends, the other has the image's own check
            assert service["healthcheck"]["test"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        if name in OURS:
            assert service["read_only"]
            assert service["cap_drop"] == ["ALL"]
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.search(r"^USER tocsin$", dockerfile, re.MULTILINE)
    assert re.search(r"^HEALTHCHECK ", dockerfile, re.MULTILINE)
    assert len(re.findall(r"^FROM ", dockerfile, re.MULTILINE)) == 2, "what builds is not what runs"


def test_secrets_are_files_and_named_volumes_hold_what_stays(compose: dict[str, Any]) -> None:
    assert set(compose["secrets"]) == set(SECRETS)
    assert set(compose["volumes"]) == {"data", "postgres"}
    for service in compose["services"].values():
        for name, value in (service.get("environment") or {}).items():
            if re.search("PASSWORD|SECRET_KEY", name):
                assert name.endswith("_FILE"), name
                assert value.removeprefix("/run/secrets/") in service["secrets"], name
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert "/secrets/" in ignored


def test_it_listens_in_the_clear_only_where_this_machine_alone_hears_it(compose: dict[str, Any]) -> None:
    web = compose["services"]["web"]
    assert web["environment"]["TOCSIN_ALLOW_PLAIN_HTTP"] == "1"
    assert [port.partition(":")[0] for port in web["ports"]] == ["127.0.0.1"]
    published = {
        name: service["ports"] for name, service in compose["services"].items() if "ports" in service
    }
    assert list(published) == ["web", "mail"]
    mail = compose["services"]["mail"]
    assert (mail["ports"], mail["profiles"]) == (["127.0.0.1:2525:2525"], ["mail"])
    assert mail["environment"]["TOCSIN_MAIL_LISTEN"].endswith(":2525")


def test_every_setting_reaches_who_uses_it(compose: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """What the settings' code reads is set here or passed on from .env, and comes out as it went in."""
    read = "".join((ROOT / "core" / name).read_text(encoding="utf-8") for name in ("settings.py", "reach.py"))
    names = {name for name in re.findall(r'"(TOCSIN_[A-Z_]+[A-Z])"', read) if not name.endswith("_FILE")}
    assert len(names) > 35
    services = {name: compose["services"][name]["environment"] for name in OURS}
    given = {name: f"value-of-{name}" for name in names}
    monkeypatch.setattr(sys.modules[__name__], "GIVEN", given)
    passed = {name: _compose()["services"][name]["environment"] for name in OURS}
    fixed = {  # these are the compose file's own, or one service's
        "TOCSIN_DATA_DIR", "TOCSIN_PLAYBOOKS", "TOCSIN_ALIVE_FILE", "TOCSIN_HOST", "TOCSIN_PORT", "TOCSIN_ALLOW_PLAIN_HTTP",
        "TOCSIN_DATABASE_URL", "TOCSIN_REDIS_URL", "TOCSIN_SECRET_KEY", "TOCSIN_DATABASE_PASSWORD", "TOCSIN_MAIL_LISTEN",
    }  # fmt: skip
    watching = {"TOCSIN_WATCH_NOTIFY"}
    listening = {"TOCSIN_TRUSTED_PROXIES", "TOCSIN_TLS", "TOCSIN_TLS_CERTIFICATE", "TOCSIN_TLS_KEY"}
    for name in names - fixed:
        users = (
            ["watch"]
            if name in watching
            else ["web"]
            if name in listening
            else ["web", "worker", "mail", "migrate"]
        )
        for user in users:
            assert passed[user].get(name) == given[name], (name, user)
    for name in fixed:
        assert any(name in one or f"{name}_FILE" in one for one in services.values()), name
    for name, environment in passed.items():
        assert all(value != f"value-of-{variable}" for variable in fixed for value in environment.values()), (
            name
        )
    for secret in SECRET:
        assert f"TOCSIN_{secret}" not in services["beat"], "who does not need a secret does not get it"
    loaded = Settings.load({name: value or "" for name, value in services["web"].items() if not name.endswith("_FILE")} | {
        "TOCSIN_DATA_DIR": str(ROOT / "nowhere"), "TOCSIN_SECRET_KEY": "k" * 32}, make=False)  # fmt: skip
    assert loaded.keep_alerts == Settings.load({}, make=False).keep_alerts, "empty is as good as not set"


def test_postgresql_takes_the_connections_of_as_many_as_the_file_says(compose: dict[str, Any]) -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    scaled = re.search(r"--scale web=(\d+) --scale worker=(\d+)", text)
    assert scaled is not None
    pool = connections._postgres()
    each = 2 * (pool["pool_size"] + pool["max_overflow"])  # a writer and a reader
    assert f"at most {each} connections" in text
    processes = int(scaled[1]) + int(scaled[2]) + 1  # and the one that takes mail
    (allowed,) = [
        int(word.partition("=")[2]) for word in compose["services"]["postgres"]["command"] if "=" in word
    ]
    assert allowed >= processes * each + 32 - 3


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
    tmp_path: Path,
) -> None:
    services = compose["services"]
    environment = {name: value for name, value in services["web"]["environment"].items() if value}
    # Only the addresses differ: Docker's names for services stand for these, and its places for files.
    environment |= {"TOCSIN_DATABASE_URL": new_postgres(), "TOCSIN_REDIS_URL": redis_server.url}
    environment["TOCSIN_ALIVE_FILE"] = str(tmp_path / "tocsin.alive")
    for name, content in SECRETS.items():
        (tmp_path / name).write_text(content + "\n", encoding="utf-8")
    for name, value in environment.items():
        environment[name] = value.replace("/run/secrets/", f"{tmp_path}/")
    environment["TOCSIN_HOST"] = "127.0.0.1"
    for name in ("TOCSIN_DATA_DIR", "TOCSIN_PORT", "TOCSIN_PLAYBOOKS"):  # the test's own
        del environment[name]
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

        wait_until(incidents, what="the incident")
        assert incidents()[0]["title"] == "Beacon from finance-7"
    alive = services["worker"]["healthcheck"]["test"]
    assert alive == services["beat"]["healthcheck"]["test"]
    assert alive[0] == "CMD-SHELL"
    check = alive[1].replace("$$", "$").replace("/tmp/tocsin.alive", environment["TOCSIN_ALIVE_FILE"])
    wait_until(
        lambda: subprocess.run(["sh", "-c", check], check=False).returncode == 0, what="the health check"
    )
    assert scaled.stop() < 10
    os.utime(environment["TOCSIN_ALIVE_FILE"], (time.time() - 60,) * 2)
    assert subprocess.run(["sh", "-c", check], check=False).returncode == 1
    (tmp_path / "tocsin.alive").unlink()
    assert subprocess.run(["sh", "-c", check], check=False).returncode == 1
