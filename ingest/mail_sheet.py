"""What the picture of a mail shows: its headers, its blocks, its files, the mails in it; as data for the picture and as text."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from connectors.entities import defang
from core.errors import Invalid
from incidents.sniffing import kind_of
from ingest import mail_blocks, mail_reading
from ingest.mail_blocks import Block, Flow
from ingest.mail_reading import Address, Mail
from ingest.mail_runs import Run, plain, size

MOST_INNER = 2
MOST_FILES = 20
WORDS = {
    "made": "Made from the mail without loading or running anything. Its colours, its style sheets and its pictures are left out.",
    "from": "From", "to": "To", "subject": "Subject", "date": "Date", "answers": "Answers go to", "no subject": "(no subject)",
    "nobody": "(not said)", "inner": "The mail inside", "files": "Files of the mail, none of them opened", "hidden": "Hidden text",
    "cut": "There is more than is shown here.", "empty": "The mail has no text.", "unread": "This mail inside cannot be read.",
    "image": "image, not loaded", "counting pixel": "counting pixel, not loaded", "within": "in the mail itself",
    "no source": "without an address", "field": "asks for", "password field": "asks for a password", "send": "Send",
    "sends to": "what is typed below goes to", "not displayed": "set not to be displayed", "too small to read": "set too small to read",
    "off the page": "set beside the page", "in the colour of the paper": "set in the colour of its background",
    "unseen": "invisible letters", "leads to": "leads to", "elsewhere": "another place than its words say",
}  # fmt: skip
"""Our few words on a picture, in English; whoever shows it hands in the reader's."""


def sheet(raw: bytes, words: Mapping[str, str]) -> dict[str, Any]:
    """A mail and the mails inside it as plain data. Raises Invalid when it cannot be read."""
    told = {**WORDS, **words}
    mail = mail_reading.read(raw)
    mails = [_mail(mail, told, "")]
    for inner in mail.inner[:MOST_INNER]:
        try:
            mails.append(_mail(mail_reading.read(inner), told, told["inner"]))
        except Invalid:
            mails.append(
                {
                    "title": told["inner"],
                    "fields": [],
                    "blocks": [asdict(_remark(told["unread"]))],
                    "files": [],
                    "cut": False,
                }
            )
    if len(mail.inner) > MOST_INNER:
        mails[-1]["cut"] = True
    return {"mails": mails, "words": told}


def as_text(told: Mapping[str, Any]) -> str:
    """The same for who does not see the picture: plain text, hidden text and targets named as such."""
    words = told["words"]
    lines: list[str] = []
    for mail in told["mails"]:
        if mail["title"]:
            lines += ["", f"== {mail['title']} =="]
        lines += [f"{one['name']}: {one['value']}" for one in mail["fields"]]
        lines.append("")
        lines += [_line(block, words) for block in mail["blocks"]]
        if mail["cut"]:
            lines += ["", words["cut"]]
        if mail["files"]:
            lines += [
                "",
                f"{words['files']}:",
                *(f"- {one['name']} ({one['says']})" for one in mail["files"]),
            ]
    return "\n".join(lines).replace("\u200b", "").strip() + "\n"


def _mail(mail: Mail, words: dict[str, str], title: str) -> dict[str, Any]:
    flow = _flow(mail, words)
    blocks = list(flow.blocks) or [_remark(words["empty"])]
    while blocks and blocks[-1].kind == "gap":
        blocks.pop()
    fields = [
        (words["from"], _named(mail.sender) or words["nobody"], False),
        *(
            (words["answers"], _named(one), one.email.casefold() != mail.sender.email.casefold())
            for one in mail.reply_to[:3]
        ),
        (words["to"], ", ".join(_named(one) for one in mail.recipients[:8]) or words["nobody"], False),
        (words["date"], plain(mail.date.replace("T", " ", 1)) or words["nobody"], False),
    ]
    return {
        "title": title,
        "subject": plain(mail.subject) or words["no subject"],
        "fields": [
            {
                "name": words["subject"],
                "value": plain(mail.subject) or words["no subject"],
                "odd": False,
            },
            *({"name": name, "value": value, "odd": odd} for name, value, odd in fields),
        ],
        "blocks": [asdict(block) for block in blocks],
        "files": [
            {
                "name": plain(one.name[:160]),
                "says": f"{kind_of(one.content[:8192]).says}, {size(len(one.content))}, "
                f"SHA-256 {hashlib.sha256(one.content).hexdigest()[:16]}…",
            }
            for one in mail.files[:MOST_FILES]
        ],
        "cut": flow.cut or mail.cut or len(mail.files) > MOST_FILES,
    }


def _flow(mail: Mail, words: dict[str, str]) -> Flow:
    """A reader's program shows the HTML where there is one, else the text."""
    if not mail.markup:
        return mail_blocks.of_text(mail.text, words)
    pictures = {one.content_id: (one.name, len(one.content)) for one in mail.files if one.content_id}
    flows = [mail_blocks.of_html(markup, words, pictures) for markup in mail.markup[:3]]
    blocks = tuple(block for flow in flows for block in flow.blocks)
    return Flow(blocks[: mail_blocks.MOST_BLOCKS], any(flow.cut for flow in flows) or len(mail.markup) > 3)


def _named(one: Address) -> str:
    """A mailbox: the name that a program shows, and the address behind it."""
    address = plain(defang("email", one.email)) if one.email else ""
    return f"{plain(one.name)} <{address}>" if one.name and address else address or plain(one.name)


def _remark(says: str) -> Block:
    return Block("text", (Run(says, "note"),))


def _line(block: Mapping[str, Any], words: Mapping[str, str]) -> str:
    parts = []
    for run in block["runs"]:
        if run["kind"] == "target":
            parts.append(
                f" <{words['leads to']} {run['text']}{' – ' + words['elsewhere'] if run['elsewhere'] else ''}> "
            )
        else:
            parts.append(f"[{run['text']}] " if run["kind"] == "note" else run["text"])
    text = "".join(parts).strip()
    match block["kind"]:
        case "gap":
            return ""
        case "rule":
            return "----"
        case "hidden":
            return f"[{words['hidden']}, {block['note']}: {text}]"
        case "item":
            return f"{'  ' * (block['level'] - 1)}• {text}"
        case "quote":
            return f"{'> ' * block['level']}{text}"
        case "button":
            return f"[ {text} ]"
        case _:
            return text
