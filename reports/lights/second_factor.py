"""Whether a stolen password is enough to disrupt, and whether two people watch over the guard rails."""

from core import four_eyes
from core.actors import SYSTEM
from core.auth import factors, permissions, users
from reports.doctor import Finding, Light, Look, State

_PAGE = {"href": "/profile/factor", "word": "Second factor"}


def look(at: Look) -> Finding:
    """Who of those who can approve has a second factor, and how many could agree to a loosened guard rail."""
    if not at.settings.second_factor_required:
        return Finding(
            State.yellow, "A password alone is enough to disrupt: people without a second factor are let through.",
            "Have it asked of everybody.", command="TOCSIN_SECOND_FACTOR=required",
        )  # fmt: skip
    here = [user for user in users.everyone(at.session) if user.disabled_at is None and user.password]
    approvers = [user for user in here if "approval.answer" in permissions.of_roles(user.roles)]
    has = factors.everybody_enrolled(at.session)
    without = [user.name for user in approvers if user.id not in has]
    if without and len(without) == len(approvers):
        return Finding(
            State.red, "Nobody has a second factor, so nobody can approve what disrupts.",
            "Add an authenticator app or a passkey.", **_PAGE,
        )  # fmt: skip
    if without:
        named = ", ".join(without[:3]) + (f" and {len(without) - 3} more" if len(without) > 3 else "")
        return Finding(
            State.yellow, f"Without a second factor, and so unable to approve what disrupts: {named}.",
            "Have them add an authenticator app or a passkey on their own page.", href="/settings/users", word="Users",
        )  # fmt: skip
    if len(four_eyes.who_may_agree(at.session, SYSTEM)) < 2 and not four_eyes.being_set_up(at.session):
        return Finding(
            State.yellow, "One person alone watches over the guard rails: what loosens them takes effect after a day.",
            "Give a second person the role of manager or administrator.", href="/settings/users", word="Users",
        )  # fmt: skip
    return Finding(State.green, f"All {len(approvers)} people who can approve have a second factor.")


light = Light("second_factor", "Second factor", 35, look)
