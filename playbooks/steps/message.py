"""Tells somebody, without waking anybody."""

from typing import Any

from playbooks.contract import Body, Done, Event, Failed, Outcome, Perform, Skipped, StepKind, View


def parse(body: Body) -> dict[str, Any]:
    """`message: {channel, to, title, text, picture}`."""
    table = body.table()
    if table is None:
        return {"channel": "", "to": None, "title": None, "text": "", "picture": False}
    spec = {
        "channel": table.text("channel", "inbox"),
        "to": table.text("to"),
        "title": table.text("title"),
        "text": table.text("text", required=True) or "",
        "picture": table.flag("picture"),
    }
    table.close()
    return spec


def begin(view: View) -> Outcome:
    """Hand the message to delivery."""
    told = view.render(view.step.spec)
    if view.mode == "watch":
        return Skipped("watch mode: recorded only", would={"message": told["text"]})
    return Perform("message", {**told, "title": told["title"] or str(view.render(view.step.name))})


def on_event(_view: View, event: Event) -> Outcome:
    """The message is written down; delivering it is not the run's business, but that nothing here can is told at once."""
    if event.data.get("undeliverable"):
        return Failed(str(event.data["undeliverable"]), retry=False)
    return Done({"message": event.data.get("ref"), "picture": bool(event.data.get("picture"))})


KIND = StepKind(
    name="message",
    says="Tell",
    schema={
        "type": "object",
        "required": ["text"],
        "additionalProperties": False,
        "properties": {
            "channel": {"type": "string"},
            "to": {"type": "string"},
            "title": {"type": "string"},
            "text": {"type": "string"},
            "picture": {"type": "boolean", "description": "Whether the picture of the reported mail goes with it"},
        },
    },
    parse=parse,
    begin=begin,
    on_event=on_event,
    goes_on=True,  # that nobody could be told must never stop the response
)
