"""What every key does: the page behind the overlay that ? opens."""

from dataclasses import dataclass

from fastapi import APIRouter, Request, Response

from core.actors import Actor
from web.pages import Page, show
from web.security import allowed

router = APIRouter(include_in_schema=False)


@dataclass(kw_only=True)
class KeysPage(Page, template="keys.html"):
    """The keys."""


@router.get("/keys")
def keys(request: Request, actor: Actor = allowed("incident.read")) -> Response:
    """All keys."""
    del actor
    return show(request, KeysPage())
