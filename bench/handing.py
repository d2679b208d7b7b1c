"""Times webhooks on their way to a mail server: sets up who is on call, serves, rings, and prints p50 and p99 in ms."""

import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller

from bench.installation import COMMAND, ROOT, free_port
from bench.load import alert
from cli import serving
from core.actors import SYSTEM
from core.auth import users
from core.db import dispose, unit_of_work
from notify import contacts
from notify.escalation import Target
from notify.oncall.policy_editing import PolicyDraft, StepDraft, create_policy


class Clockwork:
    """A mail server that notes when each title arrived."""

    def __init__(self) -> None:
        self.arrived: dict[str, float] = {}
        self.changed = threading.Condition()

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Note the moment at which the mail is in our hands."""
        at = time.perf_counter()
        text = envelope.content.decode("utf-8", "replace").replace("=\r\n", "")
        with self.changed:
            for word in text.split():
                if word.startswith("ring-"):
                    self.arrived.setdefault(word.strip(".,:;"), at)
            self.changed.notify_all()
        return "250 2.0.0 Ok"


def main() -> None:
    """Ring one alert at a time, a little apart, and wait for its mail."""
    count = int(sys.argv[1])
    _set_up(count)
    post = Clockwork()
    mail = Controller(post, hostname="127.0.0.1", port=free_port())
    mail.start()
    port = os.environ["TOCSIN_PORT"]
    env = {**os.environ, "TOCSIN_SMTP_URL": f"smtp://127.0.0.1:{mail.port}"}
    server = subprocess.Popen([COMMAND, "serve"], env=env, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        added = subprocess.run(
            [COMMAND, "source", "add", "ring", "--connector", "generic_json", "--json", "--mapping",
             str(ROOT / "bench" / "mapping.yaml")], env=env, cwd=ROOT, capture_output=True, check=True,
        )  # fmt: skip
        token = json.loads(added.stdout)["token"]
        _until_ready(port)
        times = [_ring(post, port, token, f"ring-{n:04d}") for n in range(count)]
    finally:
        server.terminate()
        server.wait(15)
        mail.stop()
    times.sort()
    print(
        f"{times[len(times) // 2] * 1e3:.1f} {times[min(len(times) - 1, int(len(times) * 0.99))] * 1e3:.1f}"
    )


def _set_up(count: int) -> None:
    """A team with a policy for each alert: the brake on pages to one person is not what is measured."""
    serving.prepare()
    with unit_of_work() as uow:
        for number in range(count):
            name, email = f"team-{number:04d}", f"person{number}@example.org"
            user = users.create(uow, SYSTEM, email=email, name=name, roles=["responder"])
            contacts.add(uow, SYSTEM, user_id=user.id, channel="email", address={"to": email})
            them = (Target("user", str(user.id)),)
            create_policy(uow, SYSTEM, PolicyDraft(name=name, steps=(StepDraft(them),), catch_all=them))
    dispose()


def _ring(post: Clockwork, port: str, token: str, name: str) -> float:
    body = json.loads(alert(name)) | {
        "severity": "critical",
        "title": name,
        "host": name.replace("ring", "team"),
    }
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/ingest/ring", data=json.dumps(body).encode(), method="POST",
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )  # fmt: skip
    started = time.perf_counter()
    urllib.request.urlopen(request, timeout=10).close()
    with post.changed:
        if not post.changed.wait_for(lambda: name in post.arrived, timeout=20):
            raise SystemExit(f"no mail came for {name}; see {Path(os.environ['TOCSIN_DATA_DIR'])}")
    time.sleep(0.1)
    return post.arrived[name] - started


def _until_ready(port: str) -> None:
    for _ in range(400):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit("tocsin did not become ready")


if __name__ == "__main__":
    main()
