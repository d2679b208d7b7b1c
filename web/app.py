"""The web application: pages and API found by walking their folders, with the ingest door beside them."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from core import plugins
from web import errors, live
from web.pages import STATIC
from web.security import Guard

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


class Assets(StaticFiles):
    """Static files; one asked for with its digest may be kept for ever."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        kept = b"v=" in scope.get("query_string", b"")
        response.headers["Cache-Control"] = (
            "public, max-age=31536000, immutable" if kept else "public, max-age=300"
        )
        return response


@asynccontextmanager
async def nothing(_app: FastAPI) -> AsyncIterator[None]:
    """A life without work at its start or end."""
    yield


def pages_app(lifespan: Lifespan = nothing) -> FastAPI:
    """Pages, API and live updates, without the ingest door."""
    app = FastAPI(
        title="Tocsin",
        summary="Alerts in, people paged, playbooks run, a record that can be proved.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        lifespan=lifespan,
    )
    app.mount("/static", Assets(directory=STATIC, follow_symlink=False), name="static")
    app.include_router(live.router)
    for folder in ("web.api", "web.routes"):
        for router in routers(folder):
            app.include_router(router)
    errors.register(app)
    return app


def routers(package: str) -> list[APIRouter]:
    """The `router` of every module of a package, in the order of their names."""
    found = plugins.discover(package, "router")
    return [found[name] for name in sorted(found)]


class FrontDoor:
    """Sends machines' deliveries straight to the ingest door and everything else to the pages."""

    def __init__(self, pages: ASGIApp, ingest: ASGIApp | None) -> None:
        self.pages = pages
        self.ingest = ingest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if self.ingest is not None and path.startswith(("/ingest/", "/v2/enqueue", "/feeds/", "/tail.py", "/certificate.pem")):
            await self.ingest(scope, receive, send)
        else:
            await self.pages(scope, receive, send)


def create_app(lifespan: Lifespan = nothing) -> ASGIApp:
    """The whole application; the ingest door is kept free of what only browsers need."""
    from ingest import routes as door  # the door brings its own small app
    from ingest.watching import watched

    pages: Any = pages_app(lifespan)
    return FrontDoor(Guard(GZipMiddleware(pages, minimum_size=800)), watched(door.app))
