"""Now: what needs me, before anything else."""

from dataclasses import dataclass

from fastapi import APIRouter, Request, Response

from web.pages import Page, show
from web.security import Signed

router = APIRouter(include_in_schema=False)


@dataclass(kw_only=True)
class NowPage(Page, template="now.html", rail="now"):
    """The first screen."""

    title: str


@router.get("/")
def now(request: Request, actor: Signed) -> Response:
    """The first screen."""
    return show(request, NowPage(title="Now"))
