"""What makes Tocsin a program on a phone's home screen: its manifest, and the worker that shows pushes."""

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse, JSONResponse

from core.actors import Actor
from core.db import unit_of_work
from notify import vapid
from web.languages import gettext as _
from web.pages import STATIC, asset
from web.security import allowed

router = APIRouter(include_in_schema=False)


@router.get("/manifest.webmanifest")
def manifest() -> Response:
    """https://www.w3.org/TR/appmanifest/"""
    return JSONResponse(
        {
            "name": "Tocsin",
            "short_name": "Tocsin",
            "id": "/",
            "start_url": "/",
            "scope": "/",
            "display": "standalone",
            "background_color": "#182433",
            "theme_color": "#182433",
            "icons": [
                {"src": asset("mark.svg"), "sizes": "any", "type": "image/svg+xml", "purpose": "any"},
                *(_icon(size, kind) for kind in ("any", "maskable") for size in (192, 512)),
            ],
        },
        media_type="application/manifest+json",
        headers={"Cache-Control": "public, max-age=3600"},
    )


def _icon(size: int, purpose: str) -> dict[str, str]:
    """A picture of our mark; a maskable one fills its square, so that a phone may cut it into its own shape."""
    name = f"icons/{'maskable' if purpose == 'maskable' else 'icon'}-{size}.png"
    return {"src": asset(name), "sizes": f"{size}x{size}", "type": "image/png", "purpose": purpose}


@router.get("/push-worker.js")
def worker() -> Response:
    """The service worker, from the root so that it may open every page; browsers ask for it anew each day."""
    return FileResponse(
        STATIC / "push-worker.js", media_type="text/javascript", headers={"Cache-Control": "no-cache"}
    )


@router.post("/profile/push-key")
def push_key(actor: Actor = allowed("contact.manage_own")) -> Response:
    """The key that a browser of the reader's subscribes to; made when the first one asks."""
    with unit_of_work() as uow:
        key = vapid.public_key(uow, actor)
    return JSONResponse({"key": key, "name": _("Tocsin")}, headers={"Cache-Control": "no-store"})
