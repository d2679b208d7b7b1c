"""Every route of the pages and the API, and what each depends on."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from web.app import pages_app


@cache
def app() -> FastAPI:
    """Pages and API, put together once for all tests of a process: they keep nothing between requests."""
    return pages_app()


def routes(router: FastAPI | APIRouter | None = None) -> Iterator[APIRoute]:
    """The routes of a router and of those in it; of all there is without one."""
    for route in (router or app()).routes:
        if isinstance(route, APIRoute):
            yield route
        elif hasattr(route, "original_router"):
            yield from routes(route.original_router)


def calls(dependant: Dependant) -> Iterator[Any]:
    """Everything a route depends on."""
    for below in dependant.dependencies:
        yield below.call
        yield from calls(below)
