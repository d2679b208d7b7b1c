"""The machines' door over HTTP: takes deliveries in the senders' own formats, and hands out the block list."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from email.utils import format_datetime
from functools import partial
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from connectors import blocklist, bodies, registry
from connectors.contract import Unreadable
from connectors.mapping import AlertMapping
from core import logs
from core.errors import Forbidden, Invalid, NotFound, TocsinError, TooLarge, Unauthenticated
from core.settings import settings
from ingest import challenges, enqueue, envelopes, inbox, known, sns, storing
from ingest.known import KnownSource
from ingest.storing import SAME_BODY, SAME_ID, Arrival, Receipt, body_key, id_key
from ingest.verify import (
    HMAC_HEADER,
    HMAC_PREFIX,
    MENDING,
    ProofKind,
    bearer_token,
    digest,
    hmac_matches,
    secret_matches,
)

log = logs.get(__name__)

_DRAINED = (
    16 * 1024 * 1024
)  # of a too large body, so that the sender reads our answer instead of a broken pipe
# These events carry no number and no time: ten seconds tell a retry from a relapse.
_PAGERDUTY_RETRY = timedelta(seconds=10)


async def receive(request: Request) -> Response:
    """POST /ingest/{source}[/{token}]: one delivery, in whatever form the source's product sends."""
    name = request.path_params["source"]
    try:
        source = await _source(name)
        token = request.path_params.get("token")
        if token is None and request.scope["query_string"]:
            token = request.query_params.get("token")
        _prove_by_token(source, request, token)
        try:
            wire = await _read(request, settings().max_body)
            body = envelopes.undo_coding(wire, request.headers.get("content-encoding"), settings().max_body)
        except TooLarge as error:
            await _keep_refused(source, request, token, error)
            raise
        if not body.strip():
            raise Invalid("The body is empty; send the alert as the product makes it.")
        if source.proof is ProofKind.HMAC:
            _prove_by_hmac(source, request, wire)
        elif source.proof is ProofKind.SNS:
            await asyncio.to_thread(sns.prove, source, body)
        receipt = await inbox.accept(_arrival(source, request, body, token))
    except TocsinError as error:
        return _problem(error, f"/ingest/{name}")
    except ClientDisconnect:
        return Response(status_code=400)
    status = (
        "duplicate"
        if receipt.duplicate
        else "accepted"
        if _readable(source, body, request)
        else "quarantined"
    )
    return _json(202, {"id": receipt.id, "receipt": receipt.id, "status": status})


async def confirm(request: Request) -> Response:
    """GET /ingest/{source}[/{token}]: a product asks whether this address is ours before it sends anything."""
    name = request.path_params["source"]
    try:
        answer = challenges.answer(await _source(name), request.headers, request.path_params.get("token"))
    except TocsinError as error:
        return _problem(error, f"/ingest/{name}")
    return _json(200, answer) if answer is not None else await _no_door(request, HTTPException(405))


async def receive_event(request: Request) -> Response:
    """POST /v2/enqueue: PagerDuty Events v2; the routing key says which source, and proves it."""
    try:
        wire = await _read(request, enqueue.MOST_BYTES)
        body = envelopes.undo_coding(wire, request.headers.get("content-encoding"), enqueue.MOST_BYTES)
        event, problems = enqueue.read(body)
        if event is None:
            return _invalid_event(problems)
        source = await _found(partial(known.with_secret, digest(event.routing_key)))
        if source is None or source.proof is not ProofKind.ROUTING_KEY:
            return _invalid_event(
                ["'routing_key' is not the key of a source here; look it up on the source's page"]
            )
        _refuse_disabled(source)
        dedup_key = event.dedup_key or uuid4().hex
        # Retried triggers without a key of their own must not become two alerts: the key of the bytes decides first.
        key, sent = body_key(body), body
        if event.dedup_key is None:
            sent = enqueue.with_dedup_key(body, dedup_key)
        arrival = Arrival(
            source_id=source.id,
            body=envelopes.without(sent, event.routing_key),
            content_type=envelopes.clean_text(request.headers.get("content-type", "application/json")),
            headers=envelopes.safe_headers(request.headers.raw, (event.routing_key,)),
            key=key,
            same_for=_PAGERDUTY_RETRY,
            peer=request.client.host if request.client else None,
        )
        receipt = await inbox.accept(arrival)
        if receipt.duplicate and event.dedup_key is None:
            first = await asyncio.to_thread(_dedup_key_of, receipt)
            dedup_key = first or dedup_key
    except TocsinError as error:
        return _problem(error, "/v2/enqueue")
    except ClientDisconnect:
        return Response(status_code=400)
    answer = {"status": "success", "message": "Event processed", "dedup_key": dedup_key, "id": receipt.id}
    return _json(202, answer)


async def blocked_values(request: Request) -> Response:
    """GET /feeds/{token}.txt: a block list for firewalls, resolvers and proxies to fetch."""
    by = request.client.host if request.client else "unknown"
    try:
        published = await asyncio.to_thread(blocklist.serve, request.path_params["token"], by)
    except TocsinError as error:
        return _problem(error, "/feeds")
    headers = {
        "ETag": published.etag,
        "Last-Modified": format_datetime(published.last_modified, usegmt=True),
        "Cache-Control": "no-cache",
    }
    if request.headers.get("if-none-match") == published.etag:
        return Response(status_code=304, headers=headers)
    body = b"" if request.method == "HEAD" else published.text.encode()
    return Response(body, headers=headers, media_type="text/plain")


# ------------------------------------------------------------------------------------------------ who sent it


async def _found(find: Callable[[], KnownSource | None]) -> KnownSource | None:
    """Look a source up without blocking the loop; one that another process has just added is found too."""
    source = find() if known.fresh() else await asyncio.to_thread(find)
    if source is None and known.look_again():
        source = await asyncio.to_thread(find)
    return source


async def _source(name: str) -> KnownSource:
    source = await _found(partial(known.named, name))
    if source is None:
        raise NotFound(
            f"There is no source named {name[:64]!r} here. `tocsin source list` shows those there are, "
            "`tocsin source add` makes one."
        )
    _refuse_disabled(source)
    return source


def _refuse_disabled(source: KnownSource) -> None:
    if source.disabled:
        raise Forbidden(
            f"The source {source.name} is disabled; enable it on its page to take its deliveries again."
        )


def _prove_by_token(source: KnownSource, request: Request, token: str | None) -> None:
    """Bearer and URL tokens are checked before anything of the body is read."""
    if source.proof is ProofKind.URL_TOKEN:
        presented = token or bearer_token(request.headers.get("authorization"))
    elif source.proof is ProofKind.BEARER:
        presented = bearer_token(request.headers.get("authorization"))
    elif source.proof is ProofKind.ROUTING_KEY:
        raise _unproven(source, "This source is reached by its routing key.")
    else:
        return
    if presented is None:
        raise _unproven(source, "Nothing in the request proves that it comes from this source.")
    if not secret_matches(presented, source.digests):
        raise _unproven(source, "The token is not one of this source's live tokens.")


def _prove_by_hmac(source: KnownSource, request: Request, wire: bytes) -> None:
    header = str(source.config.get("hmac_header") or HMAC_HEADER)
    prefix = str(source.config.get("hmac_prefix", HMAC_PREFIX if header.lower() == HMAC_HEADER else ""))
    presented = request.headers.get(header)
    if presented is None:
        raise _unproven(source, f"The signature header {header} is missing.", header, prefix)
    if not hmac_matches(wire, presented, source.secrets, prefix=prefix):
        raise _unproven(source, "The signature does not match the body.", header, prefix)


def _unproven(
    source: KnownSource, why: str, header: str = HMAC_HEADER, prefix: str = HMAC_PREFIX
) -> Unauthenticated:
    return Unauthenticated(f"{why} {MENDING[source.proof].format(header=header, prefix=prefix)}")


# ------------------------------------------------------------------------------------------------ what it holds


async def _read(request: Request, most: int) -> bytes:
    declared = request.headers.get("content-length", "0")
    length = int(declared) if declared.isdecimal() else 0
    if length > most and request.headers.get("expect"):
        raise _too_large(most, length)
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size <= most:
            parts.append(part)
        elif size > _DRAINED:
            break
    if size > most:
        raise _too_large(most, max(size, length))
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(most: int, size: int) -> TooLarge:
    return TooLarge(f"This body has more than {most} bytes; send smaller batches.", limit=most, size=size)


def _arrival(source: KnownSource, request: Request, body: bytes, token: str | None) -> Arrival:
    headers = envelopes.safe_headers(request.headers.raw, (token or "",))
    numbered = envelopes.vendor_id(registry.get(source.connector).delivery_id, headers, body)
    return Arrival(
        source_id=source.id,
        body=envelopes.without(body, token) if token else body,
        content_type=envelopes.clean_text(request.headers.get("content-type", "")),
        headers=headers,
        key=id_key(numbered) if numbered else body_key(body),
        same_for=SAME_ID if numbered else SAME_BODY,
        peer=request.client.host if request.client else None,
    )


async def _keep_refused(source: KnownSource, request: Request, token: str | None, error: TooLarge) -> None:
    """Keep what is known of a too large delivery, if it has been proven already; a failure here changes nothing."""
    if source.proof not in (ProofKind.URL_TOKEN, ProofKind.BEARER):
        return
    arrival = Arrival(
        source_id=source.id,
        body=b"",
        content_type=envelopes.clean_text(request.headers.get("content-type", "")),
        headers=envelopes.safe_headers(request.headers.raw, (token or "",)),
        key=id_key(uuid4().hex),
        peer=request.client.host if request.client else None,
        size=int(error.fields.get("size", 0)),
        kept_only=error.message,
    )
    try:
        await inbox.accept(arrival)
    except TocsinError as failure:
        log.warning(
            "the metadata of a too large delivery could not be kept", extra={"reason": failure.message}
        )


def _readable(source: KnownSource, body: bytes, request: Request) -> bool:
    """Whether this will not surely be quarantined; processing decides, this only tells the sender early."""
    reader = registry.get(source.connector).alerts
    if (
        not isinstance(reader, AlertMapping)
        or reader.parse_line is not None
        or envelopes.looks_like_json(body)
    ):
        return True
    if envelopes.form_payload(body, request.headers.get("content-type", "")) is not None:
        return True
    try:
        bodies.events_of_json(body)
    except Unreadable:
        return False
    return True


def _dedup_key_of(receipt: Receipt) -> str | None:
    """The key that was made for the first delivery of this event."""
    body = storing.body_of(receipt.id)
    found = msgspec.json.decode(body) if body else None
    return found.get("dedup_key") if isinstance(found, dict) else None


# ------------------------------------------------------------------------------------------------ answers

_encode = msgspec.json.Encoder().encode


def _json(status: int, body: Any, headers: dict[str, str] | None = None) -> Response:
    return Response(_encode(body), status, headers, media_type="application/json")


def _problem(error: TocsinError, instance: str) -> Response:
    """An error as problem+json (RFC 9457)."""
    if error.status >= 500:
        log.error("a delivery was turned away", extra={"reason": error.message})
    headers = {"WWW-Authenticate": 'Bearer realm="tocsin"'} if error.status == 401 else {}
    if (wait := getattr(error, "retry_after", None)) is not None:
        headers["Retry-After"] = str(wait)
    body = {
        "type": f"about:blank#{error.code}",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": error.message,
        "code": error.code,
        "instance": instance,
    }
    return Response(_encode(body), error.status, headers, media_type="application/problem+json")


def _invalid_event(problems: list[str]) -> Response:
    body = {
        "type": "about:blank#invalid-event",
        "title": "Bad Request",
        "detail": "; ".join(problems) + ".",
        "code": "invalid-event",
        "instance": "/v2/enqueue",
        "status": "invalid event",  # PagerDuty's clients read this member; the number stands in the status line
        "message": "Event object is invalid",
        "errors": problems,
    }
    return Response(_encode(body), 400, media_type="application/problem+json")


class _WrongMethod(TocsinError):
    """Deliveries are posted here; nothing can be read."""

    code, status = "wrong-method", 405


async def _no_door(request: Request, error: Exception) -> Response:
    if getattr(error, "status_code", 404) == 405:
        response = _problem(
            _WrongMethod(f"Deliveries are posted here; this was a {request.method}."), "/ingest"
        )
        response.headers["Allow"] = "POST"
        return response
    return _problem(
        NotFound("There is no door here; deliveries go to /ingest/<source> or /v2/enqueue."), "/ingest"
    )


routes = [
    Route("/ingest/{source}", receive, methods=["POST"]),
    Route("/ingest/{source}/{token}", receive, methods=["POST"]),
    Route("/ingest/{source}", confirm, methods=["GET"]),
    Route("/ingest/{source}/{token}", confirm, methods=["GET"]),
    Route("/v2/enqueue", receive_event, methods=["POST"]),
    Route("/feeds/{token}.txt", blocked_values, methods=["GET"]),
]
app = Starlette(routes=routes, exception_handlers={404: _no_door, 405: _no_door})
