"""The operator's other journey: a backup while alerts come in, a restore on another machine's PostgreSQL, and on it goes."""

import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from accounts import ADMIN, PASSWORD, installed
from browsing import Browser
from free_ports import wait_until
from ringing import Bell, count, rows
from running_tocsin import COMMAND, Tocsin

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
KEY = {"TOCSIN_SECRET_KEY": "thirty-two characters at the very least"}


def test_a_backup_taken_under_load_goes_on_elsewhere(
    tocsin: Callable[..., Tocsin], new_postgres: Callable[[], str], tmp_path: Path
) -> None:
    here = tocsin(**KEY)
    installed(here)
    bell = Bell(here)
    stop = threading.Event()
    acknowledged: list[str] = []

    def ring() -> None:
        with here.client() as client:
            while not stop.is_set():
                name = f"a{len(acknowledged)}"
                answer = bell.ring(client, id=name, title=f"Alert {name}", severity="critical", host=name)
                assert answer.status_code == 202
                acknowledged.append(name)
                stop.wait(0.05)

    ringing = threading.Thread(target=ring)
    ringing.start()
    try:
        wait_until(lambda: len(acknowledged) > 20, what="some alerts")
        before = list(acknowledged)
        told = here.json("backup", str(tmp_path / "night.tocsin"))
        after = len(acknowledged)
    finally:
        stop.set()
        ringing.join()
    here.stop()
    assert told["rows"] > 100

    there = tocsin(**KEY, TOCSIN_DATABASE_URL=new_postgres())
    said = there.run("restore", str(tmp_path / "night.tocsin"))
    assert "The journal verifies" in said
    assert there.json("audit", "verify")["verified"]
    kept = {name for (name,) in rows(there, "SELECT body FROM deliveries")}
    assert len(before) <= len(kept) <= after + 1
    there.start()
    wait_until(
        lambda: count(there, "SELECT count(*) FROM deliveries WHERE due_at IS NOT NULL") == 0,
        seconds=60, what="what was due when the backup was made",
    )  # fmt: skip
    alerts = {name for (name,) in rows(there, "SELECT external_id FROM alerts")}
    assert set(before) <= alerts
    assert len(alerts) == len(kept)
    assert Browser(there).sign_in(ADMIN, PASSWORD).path == "/"
    with there.client() as client:
        moved = {**bell.headers}
        answer = client.post(
            f"{there.url}/ingest/gate", json={"id": "new", "title": "New", "severity": "low"}, headers=moved
        )
        assert answer.status_code == 202, "tools go on with the secrets they have"
    there.stop()
    assert there.json("audit", "verify")["verified"]
    again = subprocess.run(
        [COMMAND, "restore", str(tmp_path / "night.tocsin")],
        env=there.env, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert again.returncode == 1
    assert "not empty" in again.stderr
