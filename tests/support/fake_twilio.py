"""Twilio's far end as its documentation describes it: takes messages and calls over respx, and signs what it calls back."""

from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import parse_qsl

import httpx
import respx

from core.actors import SYSTEM
from core.db import unit_of_work
from notify import contacts, twilio
from notify.contract import Callback

SID, TOKEN = "AC" + "0a" * 16, "12345"
SETTINGS = {"account_sid": SID, "auth_token": TOKEN, "from_number": "+15005550006"}
URL = f"{twilio.API}/2010-04-01/Accounts/{SID}"


@dataclass
class FakeTwilio:
    """What was asked of it, newest last; `refuse` makes every answer this status with Twilio's error."""

    router: respx.MockRouter
    messages: list[dict[str, str]] = field(default_factory=list)
    calls: list[dict[str, str]] = field(default_factory=list)
    refuse: int | None = None
    _numbers: Any = field(default_factory=count)

    def __post_init__(self) -> None:
        self.router.post(f"{URL}/Messages.json").mock(side_effect=self._message)
        self.router.post(f"{URL}/Calls.json").mock(side_effect=self._call)

    def set_up(self) -> None:
        """Enter the account in Tocsin."""
        with unit_of_work() as uow:
            contacts.configure_channel(uow, SYSTEM, "twilio_sms", SETTINGS)

    def _message(self, request: httpx.Request) -> httpx.Response:
        return self._taken(request, self.messages, "SM")

    def _call(self, request: httpx.Request) -> httpx.Response:
        return self._taken(request, self.calls, "CA")

    def _taken(self, request: httpx.Request, kept: list[dict[str, str]], kind: str) -> httpx.Response:
        if self.refuse is not None:
            return httpx.Response(
                self.refuse, json={"code": 21211, "message": "The 'To' number is not valid."}
            )
        sid = f"{kind}{next(self._numbers):032x}"
        kept.append({**dict(parse_qsl(request.content.decode())), "sid": sid})
        return httpx.Response(201, json={"sid": sid, "status": "queued"})


def signed(url: str, token: str = TOKEN, **fields: str) -> Callback:
    """A callback as Twilio makes it."""
    pairs = tuple({"AccountSid": SID, **fields}.items())
    return Callback(url, pairs, {"x-twilio-signature": twilio.signature(token, url, pairs)})
