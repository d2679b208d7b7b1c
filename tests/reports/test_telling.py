"""What an entry of the journal says, in a report as on a page."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from core.journal import Entry
from reports.telling import tell, told
from web import telling as on_page

ANA = UUID("01a20374-34ab-7b0b-aa3c-9d089e5c074f")
NAMES = {ANA: "Ana"}


def entry(
    verb: str, says: str, body: dict[str, Any], data: dict[str, Any] | None = None, **more: Any
) -> Entry:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    given = {
        "id": ANA,
        "at": at,
        "actor_kind": "person",
        "actor_id": str(ANA),
        "actor_name": "Ana",
        "refs": (),
    }
    return Entry(**{**given, "verb": verb, "says": says, "body": body, "data": data, **more})


@pytest.mark.parametrize(("verb", "body", "data", "sentence"), [
    ("incident.stage_changed", {"from": "triage", "to": "contain", "key": "INC-1"}, None, "did it: triage → contain"),
    ("incident.owner_changed", {"from": None, "to": str(ANA)}, None, "did it: none → Ana"),
    ("incident.changed", {"changed": {"kill_chain": {"from": "a", "to": ["b", "c"]}}}, None, "did it: kill chain a → b, c"),
    ("incident.confirmation_changed", {"from": "suspected", "to": "declared"}, {"because": "Customers\ncannot buy"},
     "did it: suspected → declared, “Customers cannot buy”"),
    ("page.attempted", {"channel": "inbox"}, {"to": "inbox"}, "did it: inbox"),
    ("task.ticked", {"done": True}, {"text": "Call the bank"}, "did it: ☑ Call the bank"),
    ("alert.ended", {"by": "resolved", "count": 12}, None, "did it: resolved, 12 times"),
    ("user.password_set", {}, None, "did it"),
    ("action.finished", {"action": "okta.suspend_user", "state": "failed", "error": "no such user"}, {"target": "deploy"},
     "did it: okta.suspend_user, deploy, failed, no such user"),
    ("comment.added", {}, {"body": "x" * 400}, f"did it: “{'x' * 239}…”"),
])  # fmt: skip
def test_a_sentence(verb: str, body: dict[str, Any], data: dict[str, Any] | None, sentence: str) -> None:
    assert told(entry(verb, "did it", body, data), NAMES) == sentence


def test_what_was_redacted_is_told_to_be_missing() -> None:
    assert told(entry("comment.added", "commented", {}, redacted=True)) == "commented: (details redacted)"


def test_a_page_says_the_same_less_what_its_heading_says() -> None:
    opened = entry(
        "incident.opened", "opened the incident", {"source": "falco"}, {"title": "Write", "why": "by rule"}
    )
    assert told(opened) == "opened the incident: Write, “by rule”"
    assert on_page.tell(opened).details == (("why", "by rule"),)
    moved = entry("incident.owner_changed", "changed the lead", {"from": None, "to": str(ANA)})
    assert on_page.tell(moved, NAMES).details == tell(moved, NAMES).details == (("", "none → Ana"),)
