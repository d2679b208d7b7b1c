"""Whether Tocsin knows what is yours, so that it never acts against it."""

from sqlalchemy import func, select

from connectors.models import ProtectedEntity
from reports.doctor import Finding, Light, Look, State


def look(at: Look) -> Finding:
    """How much is on the protected list."""
    known = at.session.scalar(select(func.count()).select_from(ProtectedEntity)) or 0
    if not known:
        return Finding(
            State.yellow, "Nothing of yours is protected but private addresses and public resolvers.",
            "Say what is yours: networks, this server, the people who must never be locked out.",
            href="/settings/yours", word="What is yours?",
        )  # fmt: skip
    return Finding(State.green, f"{known} of your networks, hosts, domains and people are protected.")


light = Light("yours", "What is yours", 80, look)
