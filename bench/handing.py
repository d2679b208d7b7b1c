"""Times webhooks on their way to a mail server: rings one alert at a time and prints p50 and p99 in ms, as JSON.

`python -m bench.handing prepare COUNT` sets up who is on call; `python -m bench.handing ring FIRST COUNT DOORS PORT` rings
at the doors (JSON: [[url, token], …], one for each ten alerts) of a Tocsin whose mail goes to that port.
"""

import json
import sys
import threading
import time
import urllib.request
from typing import Any

from aiosmtpd.controller import Controller

from bench.load import HOST, NAME, SERIAL, body_for
from cli import serving
from core.actors import SYSTEM
from core.auth import users
from core.db import dispose, unit_of_work
from notify import contacts
from notify.escalation import Target
from notify.oncall.policy_editing import PolicyDraft, StepDraft, create_policy

APART = 0.1
AT_MOST = 60.0
A_SOURCE = 10  # alerts rung by one source


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
    """Prepare, or ring."""
    if sys.argv[1] == "prepare":
        _prepare(int(sys.argv[2]))
        return
    first, count, doors, port = int(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4]), int(sys.argv[5])
    post = Clockwork()
    mail = Controller(post, hostname="127.0.0.1", port=port)
    mail.start()
    try:
        times = []
        end = time.monotonic() + AT_MOST
        for number in range(first, first + count):
            url, token = doors[number // A_SOURCE]
            times.append(_ring(post, url, token, f"ring-{number:04d}"))
            if time.monotonic() > end:  # far too slow to go on: what was seen says so
                break
    finally:
        mail.stop()
    times.sort()
    p50, p99 = (times[min(len(times) - 1, int(len(times) * part))] * 1e3 for part in (0.5, 0.99))
    print(json.dumps({"p50": p50, "p99": p99, "longest": times[-1] * 1e3, "pages": len(times)}))


def _prepare(count: int) -> None:
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


def _ring(post: Clockwork, url: str, token: str, name: str) -> float:
    plain = body_for("tocsin").replace(NAME, name).replace(SERIAL, name).replace(HOST, "00")
    body = json.loads(plain) | {"severity": "critical", "title": name, "host": name.replace("ring", "team")}
    request = urllib.request.Request(
        url, data=json.dumps(body).encode(), method="POST",
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )  # fmt: skip
    started = time.perf_counter()
    urllib.request.urlopen(request, timeout=30).close()
    with post.changed:
        if not post.changed.wait_for(lambda: name in post.arrived, timeout=AT_MOST):
            raise SystemExit(f"no mail came for {name} within {AT_MOST:.0f} s")
    time.sleep(APART)
    return post.arrived[name] - started


if __name__ == "__main__":
    main()
