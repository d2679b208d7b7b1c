"""Whether this process lives, and whether it can serve."""

from fastapi import APIRouter
from sqlalchemy import text

from core.db import reading

router = APIRouter(tags=["health"])


@router.get("/healthz")
def alive() -> dict[str, str]:
    """200 as long as the process answers at all."""
    return {"status": "ok"}


@router.get("/readyz")
def ready() -> dict[str, str]:
    """200 when the database answers, 503 when it does not."""
    with reading() as session:
        session.execute(text("SELECT 1"))
    return {"status": "ready"}
