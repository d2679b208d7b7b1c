"""E-mail against a real SMTP server."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from free_ports import free_port
from mail_server import MailServer

from core.settings import Settings, configure
from core.types import Severity
from notify.channels import email
from notify.contract import Context, Outgoing, Undeliverable

PAGE = Outgoing(
    id=UUID(int=7),
    kind="page",
    title="Malware <b>on</b> WS-7\r\nBcc: all@example.org",
    text="Isolate it?\nhxxps://evil[.]example",
    severity=Severity.critical,
    at=datetime(2026, 3, 2, 9, tzinfo=UTC),
    link="http://tocsin.test/incidents/1",
    acknowledge="http://tocsin.test/a/token",
    thread="page-1",
)


@pytest.fixture
def context(smtp_server: MailServer, test_settings: Settings) -> Context:
    configure(
        replace(test_settings, egress_allow=())
    )  # the operator's own mail server needs no further leave
    return Context(
        base_url="http://tocsin.test", smtp_url=smtp_server.url, smtp_from="tocsin@example.org", timeout=5
    )


def test_a_page_arrives_in_both_forms_with_its_links(smtp_server: MailServer, context: Context) -> None:
    sent = email.channel.send(PAGE, {"to": "ana@example.org"}, context)
    assert sent.answer.startswith("250 2.0.0 Ok: queued as T000001")
    [mail] = smtp_server.messages
    assert sent.provider_id == mail["Message-ID"] == f"<{PAGE.id}@tocsin.test>"
    assert mail["Subject"] == "CRITICAL: Malware <b>on</b> WS-7 Bcc: all@example.org"
    assert mail["X-Envelope-To"] == mail["To"] == "ana@example.org"
    assert mail["From"] == "Tocsin <tocsin@example.org>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["List-Id"] == "Tocsin pages <pages.tocsin.test>"
    assert mail["References"] == "<page-1@tocsin.test>"
    plain, html = (part.get_content() for part in mail.iter_parts())
    assert "Acknowledge: http://tocsin.test/a/token" in plain
    assert 'href="http://tocsin.test/a/token"' in html
    assert "&lt;b&gt;on&lt;/b&gt;" in html
    assert "<b>on" not in html


@pytest.mark.parametrize(
    ("answer", "permanent"), [("550 5.1.1 no such user", True), ("451 4.3.0 later", False)]
)
def test_a_refusal_says_whether_it_may_pass(
    smtp_server: MailServer, context: Context, answer: str, permanent: bool
) -> None:
    smtp_server.refuse_with = answer
    with pytest.raises(Undeliverable, match=answer[:3]) as refused:
        email.channel.send(PAGE, {"to": "ana@example.org"}, context)
    assert refused.value.permanent is permanent
    assert not refused.value.maybe_sent


def test_no_server_and_no_address_are_said_plainly(context: Context) -> None:
    with pytest.raises(Undeliverable, match="No mail server"):
        email.channel.send(PAGE, {"to": "ana@example.org"}, replace(context, smtp_url=None))
    with pytest.raises(Undeliverable, match="not a mail address"):
        email.channel.send(PAGE, {"to": "ana"}, context)


def test_a_server_that_is_away_surely_got_nothing(context: Context) -> None:
    nobody_there = replace(context, smtp_url=f"smtp://127.0.0.1:{free_port()}")
    with pytest.raises(Undeliverable) as away:
        email.channel.send(PAGE, {"to": "ana@example.org"}, nobody_there)
    assert (away.value.permanent, away.value.maybe_sent) == (False, False)
