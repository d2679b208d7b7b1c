"""What a reported mail says of itself, as plain data that is kept beside its file: claims of its sender, bounded, never trusted."""

import hashlib
from typing import Any
from urllib.parse import urlsplit

from connectors.entities import entity
from core.errors import Invalid
from incidents.attachments import Upload
from incidents.sniffing import kind_of
from ingest import mail_blocks, mail_reading
from ingest.mail_reading import Mail
from ingest.mail_sheet import WORDS

MOST_BYTES = 16 * 1024 * 1024
"""A larger mail is kept, but nothing is read from it."""
MOST_HOSTS = 50
MOST_SHOWN = 10
_MAIL = "message/rfc822"


def of_mail(mail: Mail) -> dict[str, Any]:
    """The facts of a mail: sender, reply_to, subject, message_id, spf, dkim, dmarc, hosts of its links, files, what does not match.

    `spf`, `dkim` and `dmarc` are what its topmost header says of them, "" when none does. `elsewhere` lists the targets
    (defanged) of links whose words name another host; `claims_to_be` another address that stands in the sender's name.
    """
    results: dict[str, str] = {}
    for check, result in mail.claimed:
        results.setdefault(check, result)
    sender = mail.sender.email.casefold()[:254]
    return {
        "sender": sender,
        "sender_domain": _domain(sender),
        "sender_name": mail.sender.name[:200],
        "claims_to_be": _other_address(mail.sender.name, sender),
        "reply_to": [one.email.casefold()[:254] for one in mail.reply_to[:5]],
        "subject": mail.subject[:300],
        "message_id": mail.message_id[:250],
        "spf": results.get("spf", ""),
        "dkim": results.get("dkim", ""),
        "dmarc": results.get("dmarc", ""),
        **_links(mail.links),
        "to_domains": sorted({_domain(one.email) for one in mail.recipients[:20]} - {""}),
        "files": [
            {
                "name": one.name[:160],
                "sha256": hashlib.sha256(one.content).hexdigest(),
                "kind": kind_of(one.content[:8192]).says,
            }
            for one in mail.files[:MOST_SHOWN]
        ],
        "bulk": mail.bulk,
        **_shown(mail),
    }


def of_upload(upload: Upload) -> dict[str, Any] | None:
    """The facts of a file that is a mail, or of the first mail inside it; None when it is none or cannot be read."""
    measured = upload.content
    if kind_of(measured.head).media_type != _MAIL or measured.size > MOST_BYTES:
        return None
    measured.file.seek(0)
    try:
        mail = mail_reading.read(measured.file.read(MOST_BYTES))
    except Invalid:
        return None
    for inner in mail.inner:
        try:
            return of_mail(mail_reading.read(inner))
        except Invalid:
            continue
    return of_mail(mail)


def _shown(mail: Mail) -> dict[str, Any]:
    """What only the mail as it is displayed tells: links that say another place, a field for a password."""
    elsewhere: dict[str, None] = {}
    password = False
    for markup in mail.markup[:3]:
        for block in mail_blocks.of_html(markup, WORDS, {}).blocks:
            password |= block.kind == "field" and any(run.text == WORDS["password field"] for run in block.runs)
            elsewhere.update({run.text.replace("\u200b", "").partition("?")[0][:80]: None for run in block.runs if run.elsewhere})
    return {"elsewhere": list(elsewhere)[:MOST_SHOWN], "asks_password": password}


def _links(links: tuple[str, ...]) -> dict[str, list[str]]:
    """Web links and their hosts, each once."""
    found: dict[str, None] = {}
    urls: dict[str, None] = {}
    for link in links:
        try:
            parts = urlsplit(link)
            host = (parts.hostname or "").rstrip(".")
        except ValueError:
            continue
        if parts.scheme.casefold() in ("http", "https", "ftp") and host:
            seen = entity("domain", host, "artifact")
            if seen is not None:
                found[seen.value] = None
                urls[link] = None
    return {"hosts": list(found)[:MOST_HOSTS], "urls": list(urls)[:MOST_HOSTS]}


def _domain(address: str) -> str:
    seen = entity("domain", address.rpartition("@")[2], "sender")
    return seen.value if seen is not None else ""


def _other_address(name: str, sender: str) -> str:
    """An address in the sender's name that is not the one it comes from: what a program shows instead."""
    for word in name.split():
        seen = entity("email", word.strip("<>()[]\"',;"), "sender") if "@" in word else None
        if seen is not None and seen.value.casefold() != sender:
            return seen.value[:254]
    return ""
