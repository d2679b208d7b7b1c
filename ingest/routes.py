"""The machines' door over HTTP: takes deliveries in the senders' own formats, and hands out the block list."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from email.utils import format_datetime
from functools import partial
from urllib.parse import parse_qs
from uuid import uuid4

import msgspec

from connectors import blocklist, bodies, registry
from connectors.contract import Unreadable
from connectors.mapping import AlertMapping
from core import certificates, logs
from core.errors import Forbidden, Invalid, NotFound, TocsinError, TooLarge, Unauthenticated, Unavailable
from core.settings import settings
from ingest import challenges, enqueue, envelopes, inbox, known, sns, storing
from ingest.known import KnownSource
from ingest.tail import assembled
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
from ingest.wire import ANSWERED, Answer, Heard, HungUp, Message, Receive, Send, encode, problem, said, taken

log = logs.get(__name__)

# These events carry no number and no time: ten seconds tell a retry from a relapse.
_PAGERDUTY_RETRY = timedelta(seconds=10)


async def deliver(heard: Heard, name: str, token: str | None) -> Answer:
    """POST /ingest/{source}[/{token}]: one delivery, in whatever form the source's product sends."""
    try:
        source = await _source(name)
        if token is None and heard.query:
            token = parse_qs(heard.query.decode("latin-1")).get("token", [None])[0]
        _prove_by_token(source, heard, token)
        try:
            wire = await heard.body(settings().max_body)
            body = envelopes.undo_coding(wire, heard.header("content-encoding"), settings().max_body)
        except TooLarge as error:
            await _keep_refused(source, heard, token, error)
            raise
        if not body or body.isspace():
            raise Invalid("The body is empty; send the alert as the product makes it.")
        if source.proof is ProofKind.HMAC:
            _prove_by_hmac(source, heard, wire)
        elif source.proof is ProofKind.SNS:
            await asyncio.to_thread(sns.prove, source, body)
        receipt = await inbox.accept(_arrival(source, heard, body, token))
    except TocsinError as error:
        return problem(error, f"/ingest/{name}")
    if receipt.duplicate:
        status = "duplicate"
    else:
        status = "accepted" if _readable(source, body, heard) else "quarantined"
    return taken({"id": receipt.id, "receipt": receipt.id, "status": status}, receipt.id, status)


async def confirm(heard: Heard, name: str, token: str | None) -> Answer:
    """GET /ingest/{source}[/{token}]: a product asks whether this address is ours before it sends anything."""
    try:
        answer = challenges.answer(await _source(name), heard.headers(), token)
    except TocsinError as error:
        return problem(error, f"/ingest/{name}")
    return said(200, answer) if answer is not None else _wrong_method(heard)


async def receive_event(heard: Heard) -> Answer:
    """POST /v2/enqueue: PagerDuty Events v2; the routing key says which source, and proves it."""
    try:
        wire = await heard.body(enqueue.MOST_BYTES)
        body = envelopes.undo_coding(wire, heard.header("content-encoding"), enqueue.MOST_BYTES)
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
            content_type=envelopes.clean_text(heard.header("content-type") or "application/json"),
            headers=envelopes.safe_headers(heard.raw_headers, (event.routing_key,)),
            key=key,
            same_for=_PAGERDUTY_RETRY,
            peer=heard.peer,
        )
        receipt = await inbox.accept(arrival)
        if receipt.duplicate and event.dedup_key is None:
            first = await asyncio.to_thread(_dedup_key_of, receipt)
            dedup_key = first or dedup_key
    except TocsinError as error:
        return problem(error, "/v2/enqueue")
    answer = {"status": "success", "message": "Event processed", "dedup_key": dedup_key, "id": receipt.id}
    return taken(answer, receipt.id, "duplicate" if receipt.duplicate else "accepted")


async def blocked_values(heard: Heard, token: str) -> Answer:
    """GET /feeds/{token}.txt: a block list for firewalls, resolvers and proxies to fetch."""
    try:
        published = await asyncio.to_thread(blocklist.serve, token, heard.peer or "unknown")
    except TocsinError as error:
        return problem(error, "/feeds")
    headers = {
        "ETag": published.etag,
        "Last-Modified": format_datetime(published.last_modified, usegmt=True),
        "Cache-Control": "no-cache",
    }
    if heard.header("if-none-match") == published.etag:
        return Answer(304, b"", _TEXT, headers)
    return Answer(200, b"" if heard.method == "HEAD" else published.text.encode(), _TEXT, headers)


def _tail(heard: Heard) -> Answer:
    """GET /tail.py: the program that follows files, for `curl` on the machine where these are. It holds no secret."""
    headers = {
        "ETag": f'"{assembled.digest()}"',
        "Cache-Control": "no-cache",
        "Content-Disposition": f"attachment; filename={assembled.NAME}",
        "X-Content-Type-Options": "nosniff",
    }
    return Answer(200, b"" if heard.method == "HEAD" else assembled.text().encode(), _TEXT, headers)


def _certificate(heard: Heard) -> Answer | None:
    """GET /certificate.pem: the certificate that nobody else signed, for tools to trust; None where there is no such."""
    text = certificates.to_trust(settings().tls_certificate)
    if text is None:
        return None
    headers = {
        "Cache-Control": "no-cache",
        "Content-Disposition": "attachment; filename=tocsin.pem",
        "X-Content-Type-Options": "nosniff",
    }
    body = b"" if heard.method == "HEAD" else text.encode()
    return Answer(200, body, "application/x-pem-file", headers)


_TEXT = "text/plain; charset=utf-8"


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


def _prove_by_token(source: KnownSource, heard: Heard, token: str | None) -> None:
    """Bearer and URL tokens are checked before anything of the body is read."""
    if source.proof is ProofKind.URL_TOKEN:
        presented = token or bearer_token(heard.header("authorization"))
    elif source.proof is ProofKind.BEARER:
        presented = bearer_token(heard.header("authorization"))
    elif source.proof is ProofKind.ROUTING_KEY:
        raise _unproven(source, "This source is reached by its routing key.")
    else:
        return
    if presented is None:
        raise _unproven(source, "Nothing in the request proves that it comes from this source.")
    if not secret_matches(presented, source.digests):
        raise _unproven(source, "The token is not one of this source's live tokens.")


def _prove_by_hmac(source: KnownSource, heard: Heard, wire: bytes) -> None:
    header = str(source.config.get("hmac_header") or HMAC_HEADER)
    prefix = str(source.config.get("hmac_prefix", HMAC_PREFIX if header.lower() == HMAC_HEADER else ""))
    presented = heard.header(header.lower())
    if presented is None:
        raise _unproven(source, f"The signature header {header} is missing.", header, prefix)
    if not hmac_matches(wire, presented, source.secrets, prefix=prefix):
        raise _unproven(source, "The signature does not match the body.", header, prefix)


def _unproven(
    source: KnownSource, why: str, header: str = HMAC_HEADER, prefix: str = HMAC_PREFIX
) -> Unauthenticated:
    return Unauthenticated(f"{why} {MENDING[source.proof].format(header=header, prefix=prefix)}")


# ------------------------------------------------------------------------------------------------ what it holds


def _arrival(source: KnownSource, heard: Heard, body: bytes, token: str | None) -> Arrival:
    headers = envelopes.safe_headers(heard.raw_headers, (token or "",))
    numbered = envelopes.sender_key(heard.header("idempotency-key")) or envelopes.vendor_id(
        registry.get(source.connector).delivery_id, headers, body
    )
    return Arrival(
        source_id=source.id,
        body=envelopes.without(body, token) if token else body,
        content_type=envelopes.clean_text(heard.header("content-type") or ""),
        headers=headers,
        key=id_key(numbered) if numbered else body_key(body),
        same_for=SAME_ID if numbered else SAME_BODY,
        peer=heard.peer,
    )


async def _keep_refused(source: KnownSource, heard: Heard, token: str | None, error: TooLarge) -> None:
    """Keep what is known of a too large delivery, if it has been proven already; a failure here changes nothing."""
    if source.proof not in (ProofKind.URL_TOKEN, ProofKind.BEARER):
        return
    arrival = Arrival(
        source_id=source.id,
        body=b"",
        content_type=envelopes.clean_text(heard.header("content-type") or ""),
        headers=envelopes.safe_headers(heard.raw_headers, (token or "",)),
        key=id_key(uuid4().hex),
        peer=heard.peer,
        size=int(error.fields.get("size", 0)),
        kept_only=error.message,
    )
    try:
        await inbox.accept(arrival)
    except TocsinError as failure:
        log.warning(
            "the metadata of a too large delivery could not be kept", extra={"reason": failure.message}
        )


def _readable(source: KnownSource, body: bytes, heard: Heard) -> bool:
    """Whether this will not surely be quarantined; processing decides, this only tells the sender early."""
    reader = registry.get(source.connector).alerts
    if (
        not isinstance(reader, AlertMapping)
        or reader.parse_line is not None
        or envelopes.looks_like_json(body)
    ):
        return True
    if envelopes.form_payload(body, heard.header("content-type") or "") is not None:
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


def _invalid_event(problems: list[str]) -> Answer:
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
    return Answer(400, encode(body), "application/problem+json")


class _WrongMethod(TocsinError):
    """Deliveries are posted here; nothing can be read."""

    code, status = "wrong-method", 405


def _wrong_method(heard: Heard) -> Answer:
    answer = problem(_WrongMethod(f"Deliveries are posted here; this was a {heard.method}."), "/ingest")
    answer.headers["Allow"] = "POST"
    return answer


# ------------------------------------------------------------------------------------------------ which door


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """The door as an ASGI application: deliveries, PagerDuty's events, and block lists. Leaves its Answer in the scope."""
    if scope["type"] != "http":
        return
    heard = Heard(scope, receive)
    try:
        answer = await _answer(heard)
    except HungUp:
        return
    except Exception as error:  # the outermost loop of a request: the sender hears that it was not taken
        log.exception("a delivery failed")
        answer = problem(
            Unavailable("This could not be taken; send it again.", reason=type(error).__name__), heard.path
        )
    scope[ANSWERED] = answer
    await answer.send(send)


async def _answer(heard: Heard) -> Answer:
    match heard.path.split("/")[1:]:
        case ["ingest", name, *rest] if name and len(rest) <= 1:
            token = rest[0] if rest and rest[0] else None
            if heard.method == "POST":
                return await deliver(heard, name, token)
            return (
                await confirm(heard, name, token) if heard.method in ("GET", "HEAD") else _wrong_method(heard)
            )
        case ["v2", "enqueue"]:
            return await receive_event(heard) if heard.method == "POST" else _wrong_method(heard)
        case ["tail.py"] if heard.method in ("GET", "HEAD"):
            return _tail(heard)
        case ["certificate.pem"] if heard.method in ("GET", "HEAD") and (answer := _certificate(heard)):
            return answer
        case ["feeds", name] if name.endswith(".txt") and heard.method in ("GET", "HEAD"):
            return await blocked_values(heard, name.removesuffix(".txt"))
    nothing = NotFound("There is no door here; deliveries go to /ingest/<source> or /v2/enqueue.")
    return problem(nothing, "/ingest")
