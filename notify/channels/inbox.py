"""The in-app inbox: shown in Tocsin's own pages, never outside."""

from collections.abc import Mapping
from uuid import UUID

from notify.contract import Channel, Context, Field, Outgoing, Sent, Undeliverable


def send(outgoing: Outgoing, address: Mapping[str, str], context: Context) -> Sent:
    """Put it into the person's inbox through the port; putting the same id twice leaves one item."""
    if context.inbox is None:
        raise Undeliverable("The inbox is not reachable from here.", permanent=True)
    try:
        user_id = UUID(address["user"])
    except (KeyError, ValueError):
        raise Undeliverable("The inbox needs a user of Tocsin as its address.", permanent=True) from None
    context.inbox(outgoing, user_id)
    return Sent(str(outgoing.id), "shown in the inbox")


channel = Channel(
    name="inbox",
    title="Inbox in Tocsin",
    send=send,
    address=(Field("user", "User", "user"),),
    from_text=lambda text: {"user": text},
    shown=lambda _address: "inbox",
    reaches_out=False,
)
