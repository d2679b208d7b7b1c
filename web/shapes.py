"""What every API answer has in common: lists with a cursor, versions as ETags."""

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict

from core.errors import Stale

Item = TypeVar("Item")


class Shape(BaseModel):
    """The base of every body: unknown fields are refused, rows of the database can be read as they are."""

    model_config = ConfigDict(extra="forbid", from_attributes=True)


class Listing(BaseModel, Generic[Item]):
    """A page of a list; `next` goes into `?after=` for the following one, null at the end."""

    items: Sequence[Item]
    next: str | None


def etag(response: Response, version: int) -> None:
    """Tell the version of what is answered, for a later If-Match."""
    response.headers["ETag"] = f'"{version}"'


def expect(request: Request, version: int) -> None:
    """Raises Stale when If-Match names another version than the present one."""
    wanted = request.headers.get("If-Match")
    if wanted is not None and wanted.strip('W/"') not in ("*", str(version)):
        raise Stale(
            f"It has changed since you read it (now version {version}); read it again and repeat your change."
        )


def rows(items: Sequence[Any], shape: type[Item]) -> list[Item]:
    """Database rows as API items."""
    return [shape.model_validate(item) for item in items]  # type: ignore[attr-defined]  # shapes are Pydantic models
