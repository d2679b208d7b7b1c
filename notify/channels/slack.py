"""Slack: an incoming webhook, or a bot that posts to channels and people."""

from collections.abc import Mapping
from typing import Any

from notify import outward
from notify.contract import Channel, Context, Field, Outgoing, Sent, Undeliverable
from notify.wording import headline

API = "https://slack.com/api/chat.postMessage"

# https://docs.slack.dev/reference/methods/chat.postMessage/#errors: these may pass, the others need a person.
_PASSING = {
    "ratelimited",
    "rate_limited",
    "internal_error",
    "fatal_error",
    "service_unavailable",
    "request_timeout",
}


def send(outgoing: Outgoing, address: Mapping[str, str], context: Context) -> Sent:
    """Post it; a webhook answers `ok`, the API a JSON object whose `ts` is the message's id."""
    body = blocks(outgoing)
    if url := address.get("webhook_url"):
        response = outward.post_json(context, url, body)
        return Sent(None, f"{response.status} {response.text[:200]}".strip())
    token = context.config.get("bot_token")
    if not token:
        raise Undeliverable(
            "Slack needs a webhook URL in the address, or a bot token in the channel's settings.",
            permanent=True,
        )
    if not (to := address.get("to")):
        raise Undeliverable("Slack's bot needs a channel or a member id to post to.", permanent=True)
    url = context.config.get("api_url") or API
    response = outward.post_json(context, url, {"channel": to, **body}, {"Authorization": f"Bearer {token}"})
    answer = outward.answer_of(response)
    if not answer.get("ok"):
        error = str(answer.get("error", "an answer without a reason"))
        raise Undeliverable(f"Slack refused it: {error}", permanent=error not in _PASSING)
    return Sent(str(answer.get("ts")), f"{response.status} ok, channel {answer.get('channel')}")


def blocks(outgoing: Outgoing) -> dict[str, Any]:
    """The message in Block Kit: hostile text only in plain-text blocks, where Slack reads no mark-up."""
    title = headline(outgoing)
    lines = [outgoing.text, *(f"• {item}" for item in outgoing.items)]
    text = "\n".join(line for line in lines if line)
    links = []
    if outgoing.acknowledge:
        links.append(f"<{outgoing.acknowledge}|Acknowledge…>")
    if outgoing.link:
        links.append(f"<{outgoing.link}|Open in Tocsin>")
    parts: list[dict[str, Any]] = [{"type": "header", "text": {"type": "plain_text", "text": title[:150]}}]
    if text:
        parts.append({"type": "section", "text": {"type": "plain_text", "text": text[:3000]}})
    if links:
        parts.append(
            {"type": "section", "text": {"type": "mrkdwn", "text": "   ".join(links), "verbatim": True}}
        )
    return {"text": _escaped(title), "blocks": parts, "unfurl_links": False, "unfurl_media": False}


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _from_text(text: str) -> dict[str, str]:
    return {"webhook_url": text} if text.startswith("https://") else {"to": text}


channel = Channel(
    name="slack",
    title="Slack",
    docs="https://docs.slack.dev/reference/methods/chat.postMessage/",
    send=send,
    address=(
        Field(
            "to", "Channel or member", required=False, help="#channel, channel id or member id (with a bot)."
        ),
        Field(
            "webhook_url", "Incoming webhook URL", "secret", required=False, help="Used instead of the bot."
        ),
    ),
    config=(
        Field("bot_token", "Bot token", "secret", required=False, help="xoxb-…, with the scope chat:write."),
        Field("api_url", "API address", "url", required=False, help="Only for a proxy or a test."),
    ),
    from_text=_from_text,
    shown=lambda address: address.get("to") or "incoming webhook",
)
