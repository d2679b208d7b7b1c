"""Weighs what is known of a reported mail: a proposal with its reasons; a person decides."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.entities import defang
from playbooks.targeting import is_shared

MALICIOUS, SPAM, HARMLESS, NOT_SURE = "malicious", "spam", "harmless", "not sure"
ENOUGH = 4
"""So many points make a mail malicious; what alone is worth as much needs no second reason."""
_RUNS = re.compile(
    r"\.(?:exe|scr|com|bat|cmd|ps1|vbs|vbe|js|jse|wsf|hta|lnk|msi|jar|iso|img|vhdx?|one|chm|reg|html?|shtml|svg|xll|xlam|docm|xlsm|pptm)$",
    re.IGNORECASE,
)
_PACKED = re.compile(r"\.(?:zip|rar|7z|gz|tar|cab|ace|arj)$", re.IGNORECASE)
_PROGRAMS = re.compile(r"program|shortcut|script|virtual disk|OneNote|help file", re.IGNORECASE)
_OPENS = re.compile(r"(?<!\[)://")
_ODD = re.compile(r"[^\w .@\[\]:/-]")
_MOST = 12

UNKNOWN: Mapping[str, Any] = {
    "sender": "", "sender_domain": "", "sender_name": "", "claims_to_be": "", "reply_to": [], "subject": "", "message_id": "",
    "spf": "", "dkim": "", "dmarc": "", "hosts": [], "urls": [], "to_domains": [], "files": [], "bulk": False, "elsewhere": [], "asks_password": False,
    "reports": 0, "related": [],
}  # fmt: skip
"""Everything that is said of a mail; later steps find these names whether it was read or a person was asked."""


@dataclass(frozen=True)
class Proposal:
    """What a mail looks like (malicious, spam, harmless, not sure), the reasons for and against, and what they are worth."""

    verdict: str
    reasons: list[str]
    points: int

    def told(self) -> dict[str, Any]:
        """The proposal as a step's output; `said` is the reasons as a list for instructions."""
        said = "\n".join(f"- {reason}" for reason in self.reasons)
        return {"verdict": self.verdict, "reasons": self.reasons, "points": self.points, "said": said}


def propose(mail: Mapping[str, Any], looked_up: Sequence[Mapping[str, Any]]) -> Proposal:
    """Weigh a mail's facts (as the step `mail` gives them) and the results of look-ups ({ok, item, output: {malicious}}).

    What a sender can write themselves never speaks for a mail: a DMARC pass proves the domain, not good will. So `harmless`
    needs a pass, nothing against it, and look-ups that all answered.
    """
    against = [*_origin(mail), *_shown(mail), *_files(mail), *_known(mail), *_hits(looked_up)]
    points = sum(weight for weight, _ in against)
    reasons = [reason for _, reason in sorted(against, key=lambda one: -one[0])][:_MOST]
    if points >= ENOUGH:
        return Proposal(MALICIOUS, reasons, points)
    if points:
        return Proposal(NOT_SURE, [*reasons, "That alone does not decide it."], points)
    passed = mail.get("dmarc") == "pass"
    quiet = "Its links lead where they say, its answers go to its sender, and no attachment can run."
    if mail.get("bulk"):
        return Proposal(SPAM, ["It was sent to a list of readers, and nothing else speaks against it.", quiet], 0)
    names = bool(mail.get("hosts") or mail.get("files"))
    answered = [one for one in looked_up if _malicious(one) is not None]
    if passed and (not names or (answered and len(answered) == len(looked_up))):
        looked = "Every look-up answered, and none calls it bad." if names else "It names no link and brings no file."
        return Proposal(HARMLESS, ["DMARC passed: it comes from the domain it names.", quiet, looked], 0)
    if mail.get("kept") is False:
        return Proposal(NOT_SURE, ["The original mail was not read by Tocsin, so little is known of it."], 0)
    why = "Not every link and file could be looked up." if passed else "Nothing proves who sent it."
    return Proposal(NOT_SURE, [why, "Nothing else speaks against it."], 0)


def _origin(mail: Mapping[str, Any]) -> Iterable[tuple[int, str]]:
    domain = str(mail.get("sender_domain") or "")
    if mail.get("dmarc") == "fail":
        yield 2, f"DMARC fails: {_shy('domain', domain) or 'the domain it names'} did not send it."
    elif mail.get("dmarc") != "pass":
        failed = [name.upper() for name in ("spf", "dkim") if mail.get(name) in ("fail", "softfail", "permerror")]
        if failed:
            yield 1, f"{' and '.join(failed)} {'fail' if len(failed) > 1 else 'fails'}."
    for address in list(mail.get("reply_to") or ())[:3]:
        other = str(address).rpartition("@")[2]
        if other and domain and not _within(other, domain):
            yield 2, f"Answers go to another domain: {_shy('domain', other)}."
            break
    if claimed := str(mail.get("claims_to_be") or ""):
        yield 2, f"Its sender's name shows another address: {_shy('email', claimed)}."


def _shown(mail: Mapping[str, Any]) -> Iterable[tuple[int, str]]:
    elsewhere = [str(one) for one in mail.get("elsewhere") or ()]
    if elsewhere:
        yield 2, f"The words of a link name another place than it leads to: {_plain(elsewhere[0])}."
    if mail.get("asks_password"):
        yield 3, "It holds a field for a password."


def _files(mail: Mapping[str, Any]) -> Iterable[tuple[int, str]]:
    worst: tuple[int, str] | None = None
    for one in mail.get("files") or ():
        name, kind = str(one.get("name") or ""), str(one.get("kind") or "")
        if _PROGRAMS.search(kind) or _RUNS.search(name):
            found = (3, f"An attachment can run or open a page by itself: {_plain(name)} ({_plain(kind)}).")
        elif _PACKED.search(name) or ("archive" in kind and "Office" not in kind):
            found = (1, f"An attachment is packed, which hides what it holds: {_plain(name)}.")
        else:
            continue
        worst = found if worst is None else max(worst, found, key=lambda two: two[0])
    if worst:
        yield worst


def _known(mail: Mapping[str, Any]) -> Iterable[tuple[int, str]]:
    for one in list(mail.get("related") or ())[:3]:
        yield 1, f"Perhaps the same campaign as {_plain(str(one.get('key')))}: {_plain(str(one.get('why')))}."
    if (reports := int(mail.get("reports") or 0)) >= 3:
        yield 1, f"{reports} people have reported it."


def _hits(looked_up: Sequence[Mapping[str, Any]]) -> Iterable[tuple[int, str]]:
    """The worst look-up of each value; what everybody shares, as a cloud's own host, is not counted."""
    bad: dict[str, int] = {}
    for one in looked_up:
        value, found = str(one.get("item") or ""), _malicious(one)
        if found and not is_shared(value):
            bad[value] = max(found, bad.get(value, 0))
    for value, count in sorted(bad.items(), key=lambda one: -one[1])[:3]:
        sources = "1 source calls" if count == 1 else f"{count} sources call"
        yield (4 if count >= 3 else 2), f"{sources} {_shy('url' if '/' in value else 'domain', value)} bad."


def _malicious(one: Mapping[str, Any]) -> int | None:
    """How many sources call it bad; None when nobody answered."""
    output = one.get("output")
    found = output.get("malicious") if one.get("ok") and isinstance(output, Mapping) else None
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def _within(one: str, other: str) -> bool:
    one, other = one.casefold(), other.casefold()
    return one == other or one.endswith(f".{other}") or other.endswith(f".{one}")


def _shy(kind: str, value: str) -> str:
    """A hostile value for a sentence: defanged, short, without anything that formats."""
    return _plain(defang(kind, value)) if value else ""


def _plain(text: str) -> str:
    return _ODD.sub("?", _OPENS.sub("[://]", text))[:90]
