"""Chooses what of a reported mail may be blocked: never what many share, the house's own names, or a sender somebody has forged."""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from connectors.shared_ranges import DOMAINS

_ALSO = (
    "onedrive.com dropbox.com github.io forms.gle bit.ly weebly.com wixsite.com azurewebsites.net pages.dev web.app gmail.com "
    "googlemail.com yahoo.com hotmail.com gmx.net gmx.de web.de proton.me protonmail.com aol.com wetransfer.com tinyurl.com "
    "t.co notion.site canva.com mailchimp.com list-manage.com sendgrid.net salesforce.com w3.org"
)
SHARED = DOMAINS | frozenset(_ALSO.split())
"""Hosts whose names belong to everybody who rents there: only a full URL of theirs is ever blocked."""
MOST = 50


def is_shared(domain: str) -> bool:
    """Whether a name is one of these, or stands below one."""
    return _below(domain, SHARED)


def targets(mail: Mapping[str, Any], domains: Iterable[Any], urls: Iterable[Any]) -> dict[str, Any]:
    """What to block of a mail and of what its incident names: {domains, urls, sender}.

    `sender` is the sender's domain; their address where many share that domain; "" where DMARC or SPF says that somebody else
    used the name, which then is not among the domains either (a host below it that a link leads to is). The domains that the mail went to are the house's own.
    """
    own = {str(one).casefold() for one in mail.get("to_domains") or ()}
    sender, domain = str(mail.get("sender") or ""), str(mail.get("sender_domain") or "").casefold()
    forged = mail.get("dmarc") == "fail" or (mail.get("dmarc") != "pass" and mail.get("spf") == "fail")
    kept = dict.fromkeys(str(one).casefold() for one in (*domains, *(mail.get("hosts") or ())))
    wanted = [
        one
        for one in kept
        if one and not is_shared(one) and not _below(one, own) and not (forged and one == domain)
    ]
    linked = [str(one) for one in urls if not _below(_host(str(one)), own)]
    blocked = "" if forged or _below(domain, own) or "@" not in sender else sender if is_shared(domain) else domain
    return {"domains": wanted[:MOST], "urls": linked[:MOST], "sender": blocked}


def _below(name: str, among: Iterable[str]) -> bool:
    bare = name.casefold().rstrip(".")
    return any(one and (bare == one or bare.endswith(f".{one}")) for one in among)


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
