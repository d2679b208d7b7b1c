"""Plain checks of one's own services over HTTP: whether the address that users open answers, how, and how fast."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from connectors.contract import ActionContext, ActionFailed
from connectors.declared import from_text
from core import clock
from core.net.errors import NetFailed, ResponseTooLarge
from core.net.http import Request, Timeout

MOST = 200
TIMEOUT = Timeout(total=10.0)
REDIRECTS = 5


def check(context: ActionContext, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Open a service's address as a user does: {up, status, milliseconds, says}.

    No answer, and one of 400 or more, mean that it is not up. Raises ActionFailed for a service that is not listed, or that our own
    egress rules keep us from.
    """
    listed, wanted = services(str(context.settings["services"])), str(inputs["service"]).strip().lower()
    url = listed.get(wanted) or next((one for one in listed.values() if (urlsplit(one).hostname or "") == wanted), None)
    if url is None:
        raise ActionFailed(f"“{wanted[:80]}” is not among the services to check: {', '.join(listed)[:500]}.")
    began = clock.now()
    try:
        status = context.send(Request(url=url, timeout=TIMEOUT, redirects=REDIRECTS)).status
    except ResponseTooLarge as error:  # it answered, with more than we read
        status = error.answered
    except NetFailed as error:
        return {"up": False, "status": None, "milliseconds": _since(began), "says": f"No answer: {error.message}"[:300]}
    took = _since(began)
    return {"up": status < 400, "status": status, "milliseconds": took, "says": f"It answered {status} after {took / 1000:.1f} s."}


def _since(began: datetime) -> int:
    return round((clock.now() - began).total_seconds() * 1000)


def services(text: str) -> dict[str, str]:
    """Each service's address by its name in small letters, from lines such as `shop https://shop.example.org/login`.

    Raises ActionFailed for a line that is none.
    """
    found: dict[str, str] = {}
    for line in filter(None, (one.strip() for one in text.splitlines())):
        name, _space, url = line.rpartition(" ")
        parts = urlsplit(url)
        if not name.strip() or parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise ActionFailed(f"“{line[:80]}” is no line such as: shop https://shop.example.org/login")
        found[name.strip().lower()] = url
    if not 0 < len(found) <= MOST:
        raise ActionFailed(f"List between 1 and {MOST} services, one a line.")
    return found


def health(context: ActionContext) -> str:
    """Read the list; nothing is opened."""
    return f"{len(services(str(context.settings['services'])))} services can be checked."


CONNECTOR = from_text(
    r"""
connector: uptime
name: Uptime check
kind: generic
docs: https://www.rfc-editor.org/rfc/rfc9110
scopes: "No account: it opens the addresses that you list, as any user does. Run it from where your users are, as far as you can."

settings:
  services: {type: text, required: true, description: "One service a line, its name and the address users open: shop https://shop.example.org/login"}
health: {run: health}

actions:
  check:
    title: Open a service as a user does
    description: One GET to the address that is listed for it; anything but an answer below 400 within ten seconds means that it is not up.
    verb: service.check
    effect: read
    input:
      service: {type: string, required: true, description: "The service's name in the list, or its host"}
    run: check
    instructions: "Open {{ inputs.service }} from your phone, with Wi-Fi off, and say whether it works."
""",
    "uptime",
    {"check": check, "health": health},
)
