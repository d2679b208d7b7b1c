"""Whether mail leaves: pages, notices and answers go by it."""

from core.errors import Invalid
from core.net import smtp
from reports.doctor import Finding, Light, Look, State

HERE = "/settings/installation#outgoing"


def look(at: Look) -> Finding:
    """By which server, and as whom."""
    given = at.settings
    if not given.smtp_url:
        return Finding(
            State.yellow, "No mail leaves: nobody is reached, answered or warned by mail.",
            "Say which server takes your mail, and send yourself a test.", href=HERE, word="Set it up",
        )  # fmt: skip
    try:
        server = smtp.read_url(given.smtp_url)
    except Invalid as error:
        return Finding(State.red, f"No mail leaves: {error.message}.", "Correct TOCSIN_SMTP_URL.")
    if given.smtp_from.endswith("@localhost"):
        return Finding(
            State.yellow, f"Mail leaves as {given.smtp_from}, which most servers refuse.",
            "Write an address that the server lets you send from.", href=HERE, word="Outgoing mail",
        )  # fmt: skip
    return Finding(State.green, f"Mail leaves by {server.place} as {given.smtp_from}.")


light = Light("mail", "Outgoing mail", 33, look)
