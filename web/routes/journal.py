"""The journal: everything that happened, newest first, by subject, verb and actor."""

from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter, Request, Response

from core import journal, lookback, sealing, witness
from core.actors import Actor
from core.db import reading
from core.errors import Invalid
from core.journal import Entry
from core.types import Ref
from incidents import queries
from web.keyset import SIZE, address
from web.languages import gettext as _
from web.pages import Page, show
from web.security import allowed

router = APIRouter(include_in_schema=False)


@dataclass(kw_only=True)
class JournalPage(Page, template="journal.html", rail="journal"):
    """A page of the journal."""

    entries: list[Entry]
    verbs: list[str]
    verb: str
    ref: str
    actor_id: str
    next: str | None
    first: str | None
    hidden: int
    looked_at: int
    sealed: sealing.Sealed
    witnesses: list[witness.Kept]


@router.get("/journal")
def read(request: Request, actor: Actor = allowed("journal.read")) -> Response:
    """Entries newest first; those about what the reader may not see are left out and counted."""
    given = request.query_params
    verb, ref, by = given.get("verb", ""), given.get("ref", ""), given.get("actor", "")
    before = given.get("after")
    known = sorted(journal.verbs())
    wanted = [name for name in known if name == verb or name.startswith(f"{verb}.")] if verb else None
    kind, _colon, ref_id = ref.partition(":")
    try:
        place = UUID(before) if before else None
    except ValueError as error:
        raise Invalid(_("This page's address is not complete; go to the first page.")) from error
    with reading() as session:
        found = journal.page(
            session,
            ref=Ref(kind, ref_id) if ref_id else None,
            verbs=wanted,
            actor_id=by or None,
            before=place,
            limit=SIZE,
        )
        page = found.items
        shown = queries.readable(session, actor, page)
        sealed, witnesses = sealing.state(session), witness.witnesses(session)
    return show(
        request,
        JournalPage(
            entries=shown,
            verbs=known,
            verb=verb,
            ref=ref,
            actor_id=by,
            next=address("/journal", given, after=str(found.next)) if found.next else None,
            first=address("/journal", given) if before else None,
            hidden=len(page) - len(shown),
            looked_at=lookback.AT_ONCE,
            sealed=sealed,
            witnesses=witnesses,
        ),
    )
