"""Values have one spelling, are found in text in bounded time, and hostile text does nothing."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.contract import Entity
from connectors.entities import TYPES, classify, defang, entity, extract, hash_kind, normalise, refang

SHARED = Path(os.environ.get("TOCSIN_SAMPLES", Path(__file__).parents[3] / "shared" / "samples"))
SHA256 = "9f2b6c0d1e4a5b7788990a1b2c3d4e5f60718293a4b5c6d7e8f9012a3b4c5d6e"


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("ipv4-addr", " 192.0.2.7 ", "192.0.2.7"),
        ("ipv4-addr", "192.0.2.007", None),  # octal to some, decimal to others: refused
        ("ipv4-addr", "000.111.222.10", None),
        ("ipv4-addr", "192.0.2.7:443", "192.0.2.7"),
        ("ipv4-addr", "3232235777", None),
        ("ipv4-addr", "2001:db8::1", None),
        ("ipv6-addr", "2001:0DB8:0000:0000:0000:ff00:0042:8329", "2001:db8::ff00:42:8329"),
        ("ipv6-addr", "[2001:db8::1]:8080", "2001:db8::1"),
        ("ipv6-addr", "fe80::1%eth0", "fe80::1"),
        ("ipv4-addr", "::ffff:192.0.2.7", "192.0.2.7"),
        ("domain", "WWW.Example.COM.", "www.example.com"),
        ("domain", "bücher.example.com", "xn--bcher-kva.example.com"),
        ("domain", "straße.example.com", "xn--strae-oqa.example.com"),  # IDNA 2008, not "strasse"
        ("domain", "_dmarc.example.com", "_dmarc.example.com"),
        ("domain", "localhost", None),
        ("domain", "192.0.2.7", None),
        ("domain", "-bad-.example.com", None),
        ("url", "HTTPS://Example.COM/A?b=C#d", "https://example.com/A?b=C#d"),
        ("url", "http://a@evil.example.com:8080/x", "http://a@evil.example.com:8080/x"),
        ("url", "http://[2001:DB8::1]/", "http://[2001:db8::1]/"),
        ("url", "javascript:alert(1)", None),
        ("url", "http://exa mple.com/", None),
        ("email", "Bob.Smith@Example.COM", "bob.smith@example.com"),
        ("email", "no-at.example.com", None),
        ("file-hash", SHA256.upper(), SHA256),
        ("file-hash", f"SHA256={SHA256}", SHA256),
        ("file-hash", "0" * 40, None),
        ("file-hash", "abc123", None),
        ("host", "DC-01.Corp.Example.com.", "dc-01.corp.example.com"),
        ("host", "two words", None),
        ("user", "CORP\\Alice", "corp\\alice"),
        ("user", "N/A", None),
        ("mac", "AA-BB-CC-DD-EE-0F", "aa:bb:cc:dd:ee:0f"),
        ("mac", "aabb.ccdd.ee0f", "aa:bb:cc:dd:ee:0f"),
        ("cve", "cve-2024-3400", "CVE-2024-3400"),
        (
            "file",
            "invoice\u202efdp.exe",
            "invoice\ufffdfdp.exe",
        ),  # right-to-left override shown as what it is
        ("process", "cmd\x00.exe", "cmd\ufffd.exe"),
    ],
)
def test_one_spelling(kind: str, text: str, value: str | None) -> None:
    assert normalise(kind, text) == value


@pytest.mark.parametrize(
    ("kind", "text", "found"),
    [
        ("ip", "2001:DB8::1", ("ipv6-addr", "2001:db8::1")),
        ("host", "192.0.2.10:9100", ("ipv4-addr", "192.0.2.10")),
        ("host", "Web-01:9100", ("host", "web-01")),
        ("domain", "192.0.2.10", ("ipv4-addr", "192.0.2.10")),
        ("auto", "/etc/passwd", ("file", "/etc/passwd")),
        ("auto", "just words", None),
    ],
)
def test_the_type_follows_the_value(kind: str, text: str, found: tuple[str, str] | None) -> None:
    assert entity(kind, text, "target") == (Entity(found[0], found[1], "target") if found else None)


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        ("ipv4-addr", "192.0.2.7", "192.0.2[.]7"),
        ("domain", "evil.example.com", "evil.example[.]com"),
        ("url", "https://evil.example.com/a.b", "hxxps://evil[.]example[.]com/a.b"),
        ("email", "bob@example.com", "bob[@]example[.]com"),
        ("ipv6-addr", "2001:db8::1", "2001[:]db8::1"),
        ("file-hash", SHA256, SHA256),
    ],
)
def test_defanged_for_people_and_back(kind: str, value: str, shown: str) -> None:
    assert defang(kind, value) == shown
    assert refang(shown) == value


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("hxxp://evil[.]example[.]com/x", ("url", "http://evil.example.com/x")),
        ("192[.]0[.]2[.]7", ("ipv4-addr", "192.0.2.7")),
        ("evil (dot) example (dot) com", ("domain", "evil.example.com")),
        ("alice[at]example.com", ("email", "alice@example.com")),
        ("CORP\\alice", ("user", "corp\\alice")),
        ("C:\\Temp\\a.exe", ("file", "C:\\Temp\\a.exe")),
        ("app.py", None),
        ("backup.sh", None),
        ("INC-2026-000042", None),
        ("", None),
    ],
)
def test_what_is_this(text: str, found: tuple[str, str] | None) -> None:
    assert classify(text) == found


def test_found_in_free_text() -> None:
    text = (
        "Blocked hxxps://login[.]example[.]net/reset?u=1. Dropper "
        + SHA256.upper()
        + " from 198.51.100[.]7:8080, mail"
        " <billing@example.org>; see CVE-2014-6271https://cve.example.com/x and (2001:db8::7), wrote /etc/cron.d/up"
        " and C:\\Temp\\x.exe, ran app.py, mac 02-00-5E-10-00-0B. version 1.2.3.4.5"
    )
    found = {(item.type, item.value) for item in extract(text)}
    assert found == {
        ("url", "https://login.example.net/reset?u=1"), ("domain", "login.example.net"), ("file-hash", SHA256),
        ("ipv4-addr", "198.51.100.7"), ("email", "billing@example.org"), ("cve", "CVE-2014-6271"),
        ("url", "https://cve.example.com/x"), ("domain", "cve.example.com"), ("ipv6-addr", "2001:db8::7"),
        ("file", "/etc/cron.d/up"), ("file", "C:\\Temp\\x.exe"), ("mac", "02:00:5e:10:00:0b"),
    }  # fmt: skip


@pytest.mark.parametrize(
    "unit",
    [
        "a.",
        "@",
        "a@",
        "http://",
        "192.0.2.7 ",
        "[.]",
        ":",
        "/etc/",
        "C:\\",
        "a",
        "-",
        " [ ",
        "hxxp",
        "(dot)",
        "http://a/(",
        "\x00\ud800",
        "%",
        "..",
        "a-",
    ],
)
def test_a_megabyte_of_anything_takes_no_time(unit: str) -> None:
    start = time.process_time()
    extract(unit * (1_000_000 // len(unit)))
    assert time.process_time() - start < 2


def test_hashes_are_told_by_length() -> None:
    assert [hash_kind("a" * size) for size in (32, 40, 64, 128, 33)] == [
        "md5",
        "sha1",
        "sha256",
        "sha512",
        None,
    ]


@given(st.sampled_from([*TYPES, "ip", "auto"]), st.text(max_size=300))
@settings(max_examples=300)
def test_no_text_breaks_it_and_one_spelling_is_stable(kind: str, text: str) -> None:
    found = entity(kind, text)
    extract(text)
    if found is not None:
        assert found.type in TYPES
        again = entity(found.type, found.value)
        assert again is None or again.value == found.value


_NOT_APART = "the domain of a mail address is not a second finding: it is mostly one's own"
_INSIDE = "names inside a URL's path or query are part of that URL"
BY_CHOICE = {
    ("domain", "swissjabber.de"): _NOT_APART, ("domain", "jabber.zone"): _NOT_APART, ("domain", "jabber.sow.as"): _NOT_APART,
    ("domain", "xmpp_chat.example.com"): _NOT_APART, ("domain", "bar.com"): _INSIDE, ("domain", "foo.com"): _INSIDE,
    ("domain", "abc.py"): "a two-part name with an ending of program files is a file",
    ("url", "example.com/abc"): "a URL has a scheme; without one the domain is found",
    ("url", "https://example.com/abc"): "a comma may stand in a URL: the complete form is found",
    ("url", "password@example.com:8080/"): "cut off by ioc-finder; the complete form is found",
}  # fmt: skip


def test_score_on_the_ioc_finder_cases(capsys: pytest.CaptureFixture[str]) -> None:
    """Prints how many of ioc-finder's own cases agree for the types we have, and why the others differ."""
    path = SHARED / "misc" / "ioc-finder-cases.ndjson"
    kinds = {"urls": "url", "domains": "domain", "ipv4s": "ipv4-addr", "ipv6s": "ipv6-addr", "email_addresses": "email", "cves": "cve",
             "sha256s": "file-hash", "md5s": "file-hash", "sha1s": "file-hash", "mac_addresses": "mac"}  # fmt: skip
    good = total = 0
    missed: list[str] = []
    for line in path.read_text("utf-8").splitlines() if path.exists() else ():
        case = json.loads(line)
        values = {(item.type, item.value) for item in extract(case["text"])}
        for name, wanted in case["expected"].items():
            for value in wanted if name in kinds else ():
                total += 1
                spelled = normalise(kinds[name], value) or value
                if (kinds[name], spelled) in values:
                    good += 1
                else:
                    why = BY_CHOICE.get(
                        (kinds[name], value),
                        value == "example.com" and case["id"].startswith("xmpp") and _NOT_APART,
                    )
                    missed.append(f"{case['id']}: {kinds[name]} {value}: {why or 'MISSED'}")
    with capsys.disabled():
        print(
            f"\nioc-finder cases: {good} of {total} values found"
            + "".join(f"\n  not: {line}" for line in missed)
        )
    assert [line for line in missed if line.endswith("MISSED")] == []
