"""Where providers of messages and calls tell what became of one, and what its reader answered."""

from fastapi import APIRouter, Request, Response

from core.settings import settings
from notify import callbacks
from notify.contract import Callback
from web.security import Fields, Form, open_to_all, peer

router = APIRouter(include_in_schema=False)

SIGNED = (
    "the provider signs each call with our account's key; without that it is refused before anything is read"
)


@router.post("/callbacks/{channel}", dependencies=[open_to_all(SIGNED)])
def incoming(request: Request, form: Form, channel: str) -> Response:
    """A message that somebody sent to our number."""
    return _heard(request, form, channel, None)


@router.post("/callbacks/{channel}/{token}", dependencies=[open_to_all(SIGNED)])
def about(request: Request, form: Form, channel: str, token: str) -> Response:
    """What became of one message or call."""
    return _heard(request, form, channel, token)


def _heard(request: Request, form: Fields, channel: str, token: str | None) -> Response:
    """The provider signed the address that it knows us by, which is not always the one the request names."""
    query = f"?{request.url.query}" if request.url.query else ""
    fields = tuple((name, value) for name, value in form.form.multi_items() if isinstance(value, str))
    call = Callback(f"{settings().base_url}{request.url.path}{query}", fields, request.headers)
    answer = callbacks.heard(channel, token, call, peer(request) or "unknown")
    if not answer.body:
        return Response(status_code=204)
    return Response(answer.body, media_type=answer.media)
