"""What a reporter holds: the address of their status page, and the token by which their mail finds its incident."""

import base64
import hmac
import re

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.secrets import proof
from incidents.models import Reporter

MOST = 500  # reporters of one incident that are compared
_STATUS = re.compile(r"(INC-\d{4}-\d{6,9})-([a-z2-7]{26})")
_THREAD = re.compile(r"(?<![\w-])(INC-\d{4}-\d{6,9})-([a-z2-7]{12})(?![\w-])", re.IGNORECASE)


def status_path(reporter: Reporter) -> str:
    """The path of their status page: 130 unguessable bits; another `link` number makes it another."""
    return f"/report/{reporter.key}-{_status(reporter)}"


def thread_token(reporter: Reporter) -> str:
    """What stands in a subject or address so that an answer finds its incident: 60 unguessable bits."""
    return f"{reporter.key}-{_thread(reporter)}"


def by_status(session: Session, token: str) -> Reporter | None:
    """Whose status page this is, as long as its link has not been ended."""
    found = _STATUS.fullmatch(token)
    if found is None:
        return None
    for reporter in _reporters(session, found[1]):
        if reporter.link_ended_at is None and hmac.compare_digest(_status(reporter), found[2]):
            return reporter
    return None


def by_thread(session: Session, *texts: str) -> Reporter | None:
    """Whose token stands in one of these texts (a subject, the addresses a mail went to)."""
    for text in texts:
        for found in list(_THREAD.finditer(text))[:10]:
            for reporter in _reporters(session, found[1].upper()):
                if hmac.compare_digest(_thread(reporter), found[2].lower()):
                    return reporter
    return None


def _reporters(session: Session, key: str) -> list[Reporter]:
    return list(
        session.scalars(select(Reporter).where(Reporter.key == key).order_by(Reporter.created_at).limit(MOST))
    )


def _status(reporter: Reporter) -> str:
    return _letters("reporter.status", f"{reporter.id}:{reporter.link}", 26)


def _thread(reporter: Reporter) -> str:
    return _letters("reporter.thread", str(reporter.id), 12)


def _letters(purpose: str, of: str, length: int) -> str:
    return base64.b32encode(proof(purpose, of.encode())).decode().lower()[:length]
