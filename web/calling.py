"""How a program gets in: an API token, or the session of a page of ours."""

from dataclasses import dataclass
from typing import Any

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from core.actors import Actor
from core.auth import permissions, tokens
from core.errors import Unauthenticated
from web.security import Allowed


@dataclass(frozen=True)
class MayCall(Allowed):
    """A dependency: a token (or a signed-in person) that holds the permission."""

    async def __call__(self, request: Request) -> Actor:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return await super().__call__(request)
        actor = await run_in_threadpool(tokens.actor_for, token.strip())
        if actor is None:
            raise Unauthenticated(
                "This API token is not known, has expired or was revoked; make one with `tocsin token create`."
            )
        request.state.actor = actor
        permissions.require(actor, self.permission)
        return actor


def may(permission: str) -> Any:
    """Lets in whoever holds the permission; the default of an API route's `actor` parameter."""
    return Depends(MayCall(permission))
