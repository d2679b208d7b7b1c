"""The short code by which somebody answers a page: two letters' worth of guessing would be too little, so it has three signs."""

import re
import secrets

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.db import UnitOfWork
from notify.models import Page

_LETTERS = "ACEFHJKLMNPRTUVWXY"  # none that is taken for a figure or another letter
_FIGURES = "23456789"
_CODE = re.compile(rf"(?<![A-Z0-9])([{_LETTERS}])[ -]?([{_FIGURES}])[ -]?([{_FIGURES}])(?![A-Z0-9])")


def of_page(uow: UnitOfWork, page: Page) -> str:
    """The page's code, made when it is first needed; no other page that is open has it, unless all are taken."""
    if page.reply_code is None:
        for _ in range(8):
            page.reply_code = secrets.choice(_LETTERS) + secrets.choice(_FIGURES) + secrets.choice(_FIGURES)
            if not [other for other in open_with(uow, page.reply_code) if other.id != page.id]:
                break
        uow.flush()
    return page.reply_code or ""


def open_with(session: Session, code: str) -> list[Page]:
    """The open pages that have this code."""
    query = select(Page).where(
        Page.reply_code == code, Page.closed_at.is_(None), Page.reply_code.is_not(None)
    )
    with session.no_autoflush:
        return list(session.scalars(query.limit(50)))


def read(text: str) -> str | None:
    """The code in what somebody wrote ("a47", "A 47 ok"); None without one."""
    found = _CODE.search(text.upper())
    return "".join(found.groups()) if found else None
