"""ntfy: a push to a phone through ntfy.sh or one's own server."""

from collections.abc import Mapping

from notify import outward
from notify.contract import Channel, Context, Field, Outgoing, Sent
from notify.wording import headline

PUBLIC = "https://ntfy.sh"

# 1 (min) to 5 (max): https://docs.ntfy.sh/publish/#message-priority
_PRIORITY = {"unknown": 4, "info": 2, "low": 2, "medium": 3, "high": 4, "critical": 5}


def send(outgoing: Outgoing, address: Mapping[str, str], context: Context) -> Sent:
    """Publish as JSON (https://docs.ntfy.sh/publish/#publish-as-json); the answer holds the message's id."""
    server = (address.get("server") or context.config.get("server") or PUBLIC).rstrip("/")
    token = address.get("token") or context.config.get("token")
    lines = [outgoing.text, *outgoing.items]
    actions = []
    if outgoing.acknowledge:  # a view, not an http action: only a person's tap on our page acknowledges
        actions.append({"action": "view", "label": "Acknowledge…", "url": outgoing.acknowledge})
    if outgoing.link:
        actions.append({"action": "view", "label": "Open", "url": outgoing.link})
    body = {
        "topic": address["topic"],
        "title": headline(outgoing),
        "message": "\n".join(line for line in lines if line)[:3500] or outgoing.title,
        "priority": _PRIORITY[outgoing.severity] if outgoing.kind in ("page", "bundle") else 3,
        "tags": ["rotating_light"] if outgoing.kind in ("page", "bundle") else ["bell"],
        "actions": actions,
        **({"click": outgoing.acknowledge or outgoing.link} if outgoing.acknowledge or outgoing.link else {}),
    }
    response = outward.post_json(
        context, server + "/", body, {"Authorization": f"Bearer {token}"} if token else {}
    )
    number = str(outward.answer_of(response).get("id", ""))
    return Sent(number or None, f"{response.status} published {number}".strip())


channel = Channel(
    name="ntfy",
    title="ntfy push",
    docs="https://docs.ntfy.sh/publish/",
    send=send,
    address=(
        Field(
            "topic",
            "Topic",
            "secret",
            help="Whoever knows it can read it: choose one that cannot be guessed.",
        ),
        Field("server", "Server", "url", required=False, help="https://ntfy.sh unless set."),
        Field("token", "Access token", "secret", required=False, help="tk_…, if the server asks for one."),
    ),
    config=(
        Field("server", "Server for everybody", "url", required=False),
        Field("token", "Access token for everybody", "secret", required=False),
    ),
    from_text=lambda text: {"topic": text},
    shown=lambda address: f"ntfy topic {address.get('topic', '')[:2]}…",
)
