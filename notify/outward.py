"""What channels use to reach the outside: core.net, with its failures told in the channel's terms."""

from collections.abc import Mapping
from dataclasses import replace
from email.message import EmailMessage
from typing import Any

import msgspec

from core.errors import Invalid
from core.net import NetError, NetRefused, ResponseTooLarge, SmtpRefused, current, http, smtp
from core.settings import settings
from notify.contract import Context, Undeliverable

MOST = 64 * 1024
"""Bytes of an answer that are read."""


def post_json(
    context: Context, url: str, body: Any, headers: Mapping[str, str] | None = None
) -> http.Response:
    """POST `body` as JSON and return a 2xx answer; raises Undeliverable for everything else."""
    json = {"Content-Type": "application/json; charset=utf-8"}
    return post(context, url, msgspec.json.encode(body), {**json, **(headers or {})})


def post(context: Context, url: str, content: bytes, headers: Mapping[str, str]) -> http.Response:
    """POST `content` and return a 2xx answer; raises Undeliverable for everything else.

    408, 425, 429 and 5xx may pass; other refusals will be the same next time.
    """
    limit = http.Timeout(connect=min(5.0, context.timeout), read=context.timeout, total=context.timeout)
    request = http.Request(
        method="POST", url=url, content=content, headers=headers, timeout=limit, max_response=MOST
    )
    try:
        response = http.send(request)
    except ResponseTooLarge as error:
        raise Undeliverable(error.message, permanent=True, maybe_sent=200 <= error.answered < 300) from error
    except (NetError, Invalid) as error:
        raise _undeliverable(error) from error
    if not response.ok:
        passing = response.status in (408, 425, 429) or response.status >= 500
        said = " ".join(response.text.split())[:200]
        raise Undeliverable(f"answered {response.status}: {said}".rstrip(": "), permanent=not passing, status=response.status)
    return response


def answer_of(response: http.Response) -> dict[str, Any]:
    """A 2xx answer's JSON object; empty when it is none: what was taken stays taken, whatever was said."""
    try:
        said = response.json()
    except NetError:
        return {}
    return said if isinstance(said, dict) else {}


def mail(context: Context, message: EmailMessage) -> str:
    """Hand a mail to the installation's server and return the server's own words; raises Undeliverable.

    The operator named that server, so it may be reached wherever it is, also on this machine.
    """
    url = context.smtp_url or ""
    try:
        server = smtp.read_url(url)
        rules = current(allow_private=True)
        if not rules.muzzled:
            host = f"[{server.host}]" if ":" in server.host else server.host
            rules = replace(rules, allow=(*rules.allow, f"{host}:{server.port}"))
        return smtp.send(url, message, timeout=context.timeout, egress=rules)
    except SmtpRefused as error:
        raise Undeliverable(error.message, permanent=error.permanent) from error
    except (NetError, Invalid) as error:
        raise _undeliverable(error) from error


def _undeliverable(error: NetError | Invalid) -> Undeliverable:
    if isinstance(error, NetRefused):
        return Undeliverable(error.message, permanent=True, muzzled=settings().muzzled)
    if isinstance(error, Invalid):
        return Undeliverable(error.message, permanent=True)
    return Undeliverable(error.message, maybe_sent=error.sent)
