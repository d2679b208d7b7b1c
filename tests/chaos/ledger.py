"""What is kept outside Tocsin: receipts for what was sent, calls that a product truly received, mails that truly arrived."""

import hashlib
import random
import re
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from mail_server import MailServer
from vendor_server import Answer, Call, Vendor

_ABOUT_A_USER = re.compile(r"/api/v1/users/([^/]+)(/.*)?")


@dataclass
class Sent:
    """One alert as it was sent, and the receipts that came back for it, one for each time it was taken."""

    id: str
    body: bytes
    host: str | None  # alerts about one host belong together: one incident
    tries: int = 0
    receipts: list[str] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """SHA-256 of the body, in hexadecimal."""
        return hashlib.sha256(self.body).hexdigest()


class Product(Vendor):
    """A directory (Okta's interface) and a firewall: does what it is told at once, answers a little later, forgets nothing.

    `suspended`, `isolated` and `ended_sessions` count how often each thing was done.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.suspended: Counter[str] = Counter()
        self.ended_sessions: Counter[str] = Counter()
        self.isolated: Counter[str] = Counter()
        self.asked = 0
        self._chance = random.Random(seed)
        self._counting = threading.Lock()

    def take(self, call: Call) -> Answer:
        """Do it, count it, and take some time to say so."""
        path = call.path.partition("?")[0]
        with self._counting:
            delay = self._chance.uniform(0.0, 0.25)
            if path.startswith("/isolate/"):
                self.isolated[path.removeprefix("/isolate/")] += 1
                return Answer(delay=delay)
            found = _ABOUT_A_USER.fullmatch(path)
            if found is None:
                return Answer()
            user, what = found[1], found[2]
            if what == "/lifecycle/suspend":
                self.suspended[user] += 1
                return Answer(delay=delay)
            if what == "/sessions" and call.method == "DELETE":
                self.ended_sessions[user] += 1
                return Answer(status=204, body=b"", delay=delay)
            self.asked += 1
            status = "SUSPENDED" if self.suspended[user] else "ACTIVE"
        return Answer(body={"id": user, "status": status, "profile": {"login": user}})


class Post(MailServer):
    """A mail server that counts every mail by its Message-ID, and is now and then slow to say that it took it."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._chance = random.Random(seed)

    async def handle_DATA(self, server: object, session: object, envelope: object) -> str:
        """Take it, then take some time to say so."""
        import asyncio

        said = await super().handle_DATA(server, session, envelope)  # type: ignore[arg-type]  # the base class's types
        await asyncio.sleep(self._chance.uniform(0.0, 0.15))
        return said

    def by_id(self) -> Counter[str]:
        """How often each mail arrived, by the part of its Message-ID before the @."""
        return Counter(str(mail["Message-ID"]).strip("<>").partition("@")[0] for mail in self.messages)


class Ledger:
    """Every alert that was sent, in order."""

    def __init__(self) -> None:
        self._sent: list[Sent] = []
        self._lock = threading.Lock()

    def enter(self, sent: Sent) -> None:
        """Before it is sent for the first time."""
        with self._lock:
            self._sent.append(sent)

    @property
    def sent(self) -> list[Sent]:
        """All of them."""
        with self._lock:
            return list(self._sent)

    @property
    def acknowledged(self) -> list[Sent]:
        """Those for which a receipt came back."""
        return [one for one in self.sent if one.receipts]


def until(true: object, seconds: float) -> bool:
    """Wait until `true()` is truthy; False when it is not after `seconds`."""
    end = time.monotonic() + seconds
    while not true():  # type: ignore[operator]  # a callable
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True
