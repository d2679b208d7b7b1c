"""Where a witness may be: a mailbox or a web address, read from what somebody typed, and what of it may be shown."""

from urllib.parse import unquote, urlsplit

from core.errors import Invalid


def name_of(target: str) -> str:
    """What may be shown of a witness's address: the mailbox, or the host (its path may be a secret). Raises Invalid."""
    try:
        parts = urlsplit(target)
        host, _port = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    if target.isprintable() and " " not in target and len(target) <= 1000:
        if parts.scheme == "mailto" and _mailbox(unquote(parts.path)) and not parts.query:
            return unquote(parts.path)
        if parts.scheme in ("https", "http") and host:
            return host
    raise Invalid("TOCSIN_WITNESS holds mailto:somebody@example.org or https://…, several with commas.")


def _mailbox(address: str) -> bool:
    local, _at, domain = address.rpartition("@")
    return bool(local and domain) and address.isprintable() and not any(one in address for one in " ,<>")
