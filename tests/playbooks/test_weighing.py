"""What is proposed of a reported mail, why, and what of it may be blocked: a table of mails."""

from typing import Any

import pytest

from playbooks.targeting import is_shared, targets
from playbooks.weighing import UNKNOWN, propose


def mail(**given: Any) -> dict[str, Any]:
    return {**UNKNOWN, "kept": True, "sender": "it@example.net", "sender_domain": "example.net", **given}


def looked(item: str, malicious: int | None, ok: bool = True) -> dict[str, Any]:
    return {"ok": ok, "item": item, "output": {"malicious": malicious}, "error": None}


PROGRAM = {"name": "invoice.pdf", "kind": "Windows program", "sha256": "0" * 64}


@pytest.mark.parametrize(
    ("facts", "results", "verdict", "because"),
    [
        (mail(dmarc="pass"), [], "harmless", "It names no link and brings no file."),
        (mail(dmarc="pass", hosts=["example.net"]), [looked("example.net", 0)], "harmless", "none calls it bad"),
        (mail(dmarc="pass", hosts=["example.net"]), [], "not sure", "Not every link and file could be looked up."),
        (mail(dmarc="pass", hosts=["example.net"]), [looked("example.net", 0, ok=False)], "not sure", "Not every link"),
        (mail(), [], "not sure", "Nothing proves who sent it."),
        (mail(bulk=True), [], "spam", "a list of readers"),
        (mail(bulk=True, asks_password=True), [], "not sure", "a field for a password"),
        ({"kept": False}, [], "not sure", "was not read by Tocsin"),
        (mail(dmarc="fail"), [], "not sure", "DMARC fails: example[.]net did not send it."),
        (mail(spf="softfail", dkim="fail"), [], "not sure", "SPF and DKIM fail."),
        (mail(dmarc="fail", reply_to=["x@other.example"]), [], "malicious", "another domain: other[.]example."),
        (mail(dmarc="pass", reply_to=["x@mail.example.net"]), [], "harmless", "DMARC passed"),
        (mail(dmarc="fail", elsewhere=["hxxps[://]evil[.]example"]), [], "malicious", "another place than it leads to"),
        (mail(files=[PROGRAM]), [], "not sure", "can run or open a page by itself: invoice.pdf (Windows program)"),
        (mail(dmarc="fail", files=[PROGRAM]), [], "malicious", "can run"),
        (mail(files=[{"name": "a.zip", "kind": "ZIP archive or Office document"}]), [], "not sure", "is packed"),
        (mail(dmarc="pass"), [looked("evil.example", 3)], "malicious", "3 sources call evil[.]example bad."),
        (mail(dmarc="pass"), [looked("evil.example", 1)], "not sure", "1 source calls evil[.]example bad."),
        (mail(dmarc="pass", hosts=["a.sharepoint.com"]), [looked("a.sharepoint.com", 9)], "harmless", "DMARC passed"),
        (mail(related=[{"key": "INC-2026-000007", "why": "the same sender"}]), [], "not sure", "same campaign as INC-2026-000007"),
        (mail(reports=4, claims_to_be="ceo@example.org", dmarc="none", spf="fail"), [], "malicious", "4 people have reported it."),
    ],
)  # fmt: skip
def test_a_mail_is_weighed_with_reasons(facts: dict[str, Any], results: list[Any], verdict: str, because: str) -> None:
    found = propose(facts, results)
    assert (found.verdict, any(because in reason for reason in found.reasons)) == (verdict, True), found


def test_hostile_values_are_defanged_and_format_nothing() -> None:
    found = propose(
        mail(
            files=[{"name": "**[x](https://evil.example)`<b>`.exe", "kind": "data"}],
            claims_to_be="ceo@example.org",
            related=[{"key": "INC-1", "why": "a\n# heading"}],
        ),
        [looked("https://evil.example/a`b", 5)],
    ).told()
    assert found["verdict"] == "malicious"
    for letter in "*`<#":
        assert letter not in found["said"]
    assert "https://evil" not in found["said"]
    assert len(found["said"].splitlines()) == len(found["reasons"])


def test_only_what_is_the_attackers_alone_is_blocked() -> None:
    found = targets(
        mail(dmarc="pass", hosts=["login.evil.example"], to_domains=["example.org"]),
        ["example.net", "docs.google.com", "intranet.example.org", "login.evil.example"],
        ["https://login.evil.example/a?u=1", "https://intranet.example.org/", "https://docs.google.com/forms/1", "http://["],
    )
    assert found == {
        "domains": ["example.net", "login.evil.example"],
        "urls": ["https://login.evil.example/a?u=1", "https://docs.google.com/forms/1", "http://["],
        "sender": "example.net",
    }


@pytest.mark.parametrize(
    ("facts", "sender"),
    [
        (mail(dmarc="fail"), ""),
        (mail(spf="fail"), ""),
        (mail(spf="fail", dmarc="pass"), "example.net"),
        (mail(), "example.net"),
        (mail(sender="bad@gmail.com", sender_domain="gmail.com"), "bad@gmail.com"),
        (mail(to_domains=["example.net"]), ""),
        ({"kept": False}, ""),
    ],
)  # fmt: skip
def test_a_sender_is_blocked_unless_the_name_was_forged(facts: dict[str, Any], sender: str) -> None:
    assert targets(facts, ["example.net"], [])["sender"] == sender


def test_a_forged_domain_is_not_blocked_but_the_host_of_its_link_is() -> None:
    found = targets(mail(dmarc="fail", hosts=["login.example.net"]), ["example.net", "login.example.net"], [])
    assert found["domains"] == ["login.example.net"]
    assert is_shared("a.b.sharepoint.com")
    assert not is_shared("notsharepoint.com")
