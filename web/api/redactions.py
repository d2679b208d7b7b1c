"""Taking a value out of an incident's record over the API: proposed here, agreed to by a person at the pages."""

from uuid import UUID

from fastapi import APIRouter

from core.actors import Actor
from core.db import unit_of_work
from incidents import redacting
from web.calling import may
from web.shapes import Shape, rows

router = APIRouter(prefix="/api/v1/incidents", tags=["incidents"])


class RedactionIn(Shape):
    """The whole value, and why; it is checked where it is used, so that no error repeats it.

    `keep`: by SHA-256, why a file stays that holds it. `also`: the SHA-256 of files that go though nobody could look into them.
    """

    value: str
    reason: str
    keep: dict[str, str] = {}
    also: list[str] = []


class FileWithIt(Shape):
    """A file that concerns it: `found` is held (it goes, unless `keep` says why not), unread (it stays, unless `also` names it), later."""

    digest: str
    name: str
    size: int
    media_type: str
    found: str


class RedactionOut(Shape):
    """The proposal that somebody else must agree to; null: it is begun at once. What it leaves, in words."""

    change: UUID | None
    not_reached: list[str]
    files: list[FileWithIt]


@router.post("/{key}/redactions", status_code=202)
def redact(key: str, given: RedactionIn, actor: Actor = may("incident.redact")) -> RedactionOut:
    """Have a value taken out of an incident, for ever."""
    files = redacting.files_with(actor, key, given.value)
    with unit_of_work() as uow:
        change = redacting.propose(uow, actor, key, given.value, given.reason, given.keep, given.also)
        found = change.id if change is not None else None
    return RedactionOut(change=found, not_reached=list(redacting.NOT_REACHED), files=rows(files, FileWithIt))
