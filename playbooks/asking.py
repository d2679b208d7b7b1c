"""Puts a question to people: the one way steps ask for agreement, and read the answer."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from core.auth.permissions import ROLES
from playbooks.contract import Blocked, Event, Failed, Outcome, Perform, Refused, View, WaitDraft
from playbooks.durations import say_duration

DEFAULT_EXPIRY = 24 * 3600.0
SPEAKER = "communications"
"""Whoever speaks for the incident; its lead where nobody does."""
DISRUPTIVE = frozenset({"disruptive", "destructive"})


def ask(
    view: View, question: str, asking: Mapping[str, Any], detail: Mapping[str, Any] | None = None
) -> Blocked:
    """Block on an approval.

    `asking`: from, quorum, must (of these one each, all different people), expires (seconds), on_expire (deny | escalate | fail), four_eyes, alone_after (seconds), escalate_to, what
    (list of {name, inputs, effect} that would be done).
    """
    expires = float(asking.get("expires") or DEFAULT_EXPIRY)
    shown = {
        "ask": question,
        "from": list(asking.get("from") or ["role:responder"]),
        "quorum": max(int(asking.get("quorum") or 1), len(asking.get("must") or ())),
        "must": list(asking.get("must") or ()),
        "four_eyes": bool(asking.get("four_eyes")),
        "alone_after": asking.get("alone_after"),
        "on_expire": asking.get("on_expire") or "deny",
        "escalate_to": asking.get("escalate_to"),
        "expires": expires,
        "what": list(asking.get("what") or ()),
        "question": asking.get("question") or "approve",
        "why": asking.get("why"),
    }
    wait = WaitDraft(kind="approval", due_at=view.now + timedelta(seconds=expires), detail=shown)
    return Blocked((wait,), detail={"asking": shown, **(detail or {})})


def nobody_answered(view: View) -> Outcome:
    """What follows when a question's time is over: deny, page once and wait again, or fail.

    What wakes nobody by itself is not escalated either, unless somebody has taken the incident.
    """
    asking = view.detail.get("asking", {})
    span = say_duration(float(asking.get("expires") or DEFAULT_EXPIRY))
    what = asking.get("on_expire", "deny")
    if what == "escalate" and not view.detail.get("escalated") and may_wake(view):
        return Perform(
            "page",
            {
                "policy": asking.get("escalate_to"),
                "message": f"Nobody answered within {span}: {asking.get('ask')}",
            },
            detail={"escalated": True},
        )
    if what == "fail":
        return Failed(f"nobody answered within {span}: {asking.get('ask')}", retry=False)
    return Refused(f"nobody answered within {span}", ends_block=_ends_block(view))


def ask_again(view: View) -> Blocked:
    """Put the same question once more, after it was escalated."""
    asking = view.detail["asking"]
    wait = WaitDraft(
        kind="approval",
        due_at=view.now + timedelta(seconds=float(asking["expires"])),
        detail={**asking, "escalated": True},
    )
    return Blocked((wait,))


def agreed(event: Event) -> tuple[str, ...] | None:
    """Who agreed, or None when it was refused."""
    if event.data.get("approved"):
        return tuple(str(name) for name in event.data.get("by", ()))
    return None


def refusal(view: View, event: Event) -> Refused:
    """The refusal as a step's outcome."""
    by = tuple(str(name) for name in event.data.get("by", ()))
    reason = str(event.data.get("reason") or "").strip()
    said = f"{', '.join(by) or 'somebody'} refused"
    return Refused(f"{said}: {reason}" if reason else said, by=by, ends_block=_ends_block(view))


def _ends_block(view: View) -> bool:
    """Without steps of its own, an approval stands before the rest of its block: a refusal leaves that undone."""
    return view.step.kind == "approve" and not view.step.spec.get("guards")


def must_ask(view: View, effect: str) -> str | None:
    """Why an effect needs a person's agreement now, or None when it may go ahead."""
    if effect not in DISRUPTIVE or view.approved_by:
        return None
    if view.late:
        return "the alerts behind this incident are old, so nothing disruptive is done by itself"
    if view.learning:
        return "the source of these alerts is still being learned, so nothing disruptive is done by itself"
    if view.mode == "ask":
        return "the playbook is in ask mode"
    if view.trust == "low":
        return "the origin of these alerts is proven only weakly"
    if effect == "destructive":
        return "what destroys is never done without a person"
    return None


def may_wake(view: View) -> bool:
    """Whether a question or a task may wake somebody: what is hushed may, once a person has agreed or has taken it."""
    return view.hushed is None or view.led or bool(view.approved_by)


def left_out(event: Event) -> str:
    """Why a person did not do a task."""
    by = ", ".join(str(name) for name in event.data.get("by", ())) or "somebody"
    return f"{by} left it out: {event.data.get('reason') or 'no reason given'}"


def wrong_people(entries: list[str]) -> list[str]:
    """The entries that name nobody: neither `owner` nor role:…, user:… or on_call:…."""
    return [one for one in entries if one != "owner" and "{{" not in one and not _names_somebody(one)]


def _names_somebody(entry: str) -> bool:
    kind, _, name = entry.partition(":")
    if kind == "role":
        return name in ROLES
    return kind in ("user", "on_call") and bool(name)
