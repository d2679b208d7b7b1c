"""Reads pages as a signed-in administrator and times them; `python -m bench.visiting` signs in and prints the cookie."""

import http.client
import statistics
import sys
import time
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlsplit
from uuid import UUID

from bench import filling
from bench.pouring import AS_POSTGRES
from core.types import from_micros
from incidents.paging import cursor

EMAIL = "reader@example.org"


def pages(newest: filling.Case | None, middle: filling.Case | None) -> dict[str, str]:
    """What is read, by name; the cases are the newest one and one in the middle of what was filled in."""
    found = {
        "Now": "/",
        "incidents, first page": "/incidents",
        "closed, of one owner": f"/incidents?state=closed&owner={filling.owner(0)}",
        "critical malware": "/incidents?state=all&severity=critical&category=malware",
        "alerts, first page": "/alerts",
        "search for words": f"/search?q=malware+{filling.host(42)}",
        "search for an address": f"/search?q={filling.address(4242)}",
    }
    if newest and middle:
        at = from_micros(middle.micros)
        found |= {
            "incidents, half way down": f"/incidents?state=all&after={cursor(at, UUID(middle.incident))}",
            "search for a key": f"/search?q={newest.key}",
            "one incident": f"/incidents/{newest.key}",
        }
    return found


def visited(url: str, cookie: str, wanted: Mapping[str, str], times: int) -> dict[str, tuple[float, float]]:
    """The p50 and p95 in ms of each page, as a browser on this machine waits for it; each is read once before."""
    address = urlsplit(url)
    found = {}
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    for name, path in wanted.items():
        taken = []
        for _ in range(times + 1):
            began = time.perf_counter()
            connection.request("GET", path, headers={"Cookie": f"tocsin_session={cookie}"})
            answer = connection.getresponse()
            answer.read()
            taken.append((time.perf_counter() - began) * 1e3)
            if answer.status not in (200, 303):
                raise SystemExit(f"GET {path} answered {answer.status}")
        ordered = sorted(taken[1:])
        found[name] = (statistics.median(ordered), ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))])
    connection.close()
    return found


def case(base: datetime, number: int) -> filling.Case:
    """One case again, as it was filled in."""
    return next(filling.cases(base, [number], AS_POSTGRES))


def main() -> None:
    """Sign in without a form."""
    from cli import serving
    from core.actors import SYSTEM
    from core.auth import sessions, users
    from core.db import unit_of_work

    serving.prepare()
    with unit_of_work() as uow:
        user = users.create(uow, SYSTEM, email=EMAIL, name="Reader", roles=["administrator", "responder"])
        token = sessions.start(uow, user)
    sys.stdout.write(token + "\n")


if __name__ == "__main__":
    main()
