"""No secret is written where somebody reads it: vendors that echo what they were sent, and then every table, log, page and figure."""

import base64
import html
import logging
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx
import pytest
import respx
from at_the_pages import Reader
from every_page import page_routes
from people_here import People
from sqlalchemy import select

from cli import assemble
from connectors import instances
from core import metrics, settings
from core.actors import SYSTEM
from core.db import Base, reading, unit_of_work
from incidents import rules, upkeep
from incidents.models import Alert, Incident
from ingest import sources
from notify import contacts
from notify.escalation import Target
from notify.oncall import policy_editing

assemble.load()

CONNECTOR, PUSH, MAIL, TOPIC = "ssws-canary-of-okta-7f3a9", "tk_canary_of_ntfy_51c2", "canary of mail/88d1", "canary-topic-0b77"


@pytest.fixture
def planted(clock: Any, people: People, door: Any, test_settings: settings.Settings) -> str:
    """A product, a way to reach Mara and a mail server, each with a secret of its own; gives the source's."""
    given = settings.settings().with_(smtp_url=f"smtp://tocsin:{quote(MAIL, safe='')}@127.0.0.1:9")
    settings.configure(given)
    with unit_of_work() as uow:
        rules.seed(uow)
        upkeep.seed(uow)
        _source, secret = sources.create(uow, SYSTEM, name="edr", connector="generic_json")
        instances.create(
            uow, SYSTEM, name="okta", connector="okta", settings={"base_url": "https://acme.okta.com"}, secrets={"token": CONNECTOR},
        )  # fmt: skip
        mara = people.mara.user_id
        contacts.add(uow, SYSTEM, user_id=mara, channel="ntfy", address={"topic": TOPIC, "token": PUSH}, delay=0)
        contacts.add(uow, SYSTEM, user_id=mara, channel="email", address={"to": "mara@example.org"}, delay=0)
        target = (Target("user", str(mara)),)
        draft = policy_editing.PolicyDraft("default", (policy_editing.StepDraft(target, delay=120),), target, is_default=True)
        policy_editing.create_policy(uow, SYSTEM, draft)
    return secret


def echo(request: httpx.Request) -> httpx.Response:
    """A far end that refuses, and says with what it was asked."""
    shown = request.headers.get("authorization", "")
    again = base64.b64encode(shown.encode()).decode()
    return httpx.Response(401, json={"error": f"refused: {shown}", "again": again, "body": request.content.decode()})


def written(secret: str) -> Iterator[str]:
    """The spellings in which it may have been written down."""
    yield secret
    yield quote(secret, safe="")
    for text in (secret, f"SSWS {secret}", f"Bearer {secret}"):
        for shift in range(3):  # wherever in a longer text it stands
            whole = base64.b64encode(b" " * shift + text.encode()).decode()
            yield whole[4:-4]


def tables() -> str:
    """Everything in the database, as text."""
    lines = []
    with reading() as session:
        for table in Base.metadata.sorted_tables:
            for row in session.execute(select(table)):
                lines += [
                    f"{table.name}.{name}: {value.decode('latin-1') if isinstance(value, bytes) else value!r}"
                    for name, value in row._mapping.items()
                ]
    return "\n".join(lines)


def pages(reader: Reader) -> Iterator[str]:
    """Every page that links lead to from the first, each route once."""
    routes, seen, waiting = page_routes(), set[str](), ["/", "/calls", "/connectors/okta", "/profile"]
    while waiting:
        path = waiting.pop(0)
        route = next((name for name, pattern in routes.items() if pattern.match(path.partition("?")[0])), None)
        if route is None or route in seen:
            continue
        seen.add(route)
        answer = reader._send("GET", path)
        if answer.headers.get("Content-Type", "").startswith("text/html"):
            yield f"{path}: {answer.text}"
            waiting += [html.unescape(link) for link in re.findall(r'href="(/[^"#]*)"', answer.text)]


def test_no_secret_is_written_where_somebody_reads_it(
    planted: str, people: People, door: Any, drain: Callable[..., int], clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    raul = Reader(people.raul)
    with respx.mock(assert_all_called=False) as far_ends:
        far_ends.route(host="acme.okta.com").mock(side_effect=echo)
        far_ends.route(host="ntfy.sh").mock(side_effect=echo)
        alert = {"title": "Odd sign-in", "severity": "critical", "user": "m.ortiz", "host": "fin-7"}
        sent = door.post("/ingest/edr", json=alert, headers={"Authorization": f"Bearer {planted}"})
        assert sent.status_code == 202, sent.text
        wrong = door.post("/ingest/edr", json=alert, headers={"Authorization": f"Bearer {planted}x"})
        assert wrong.status_code == 401
        assert planted not in wrong.text
        drain()
        with reading() as session:
            found = session.scalars(select(Alert)).one().incident_id
            assert found is not None
            key = session.get_one(Incident, UUID(str(found))).key
        of = re.search(r"do=identity\.disable_user&amp;of=([0-9a-f-]+)", raul.get(f"/incidents/{key}"))
        assert of is not None
        raul.post(
            f"/incidents/{key}/act", do="identity.disable_user", of=of[1], key="canary-by-hand", bound="1", word="APPROVE",
            reason="the owner says it was not them",
        )  # fmt: skip
        for _ in range(4):
            drain()
            clock.advance(minutes=2)
        calls = {route.host for route in (call.request.url for call in far_ends.calls)}
    assert calls == {"acme.okta.com", "ntfy.sh"}, "each was asked, and echoed"
    told = {
        "tables": tables(), "log": caplog.text + "\n".join(str(vars(one)) for one in caplog.records),
        "figures": "\n".join(map(str, _figures())), "pages": "\n".join([*pages(Reader(people.ana)), *pages(raul)]),
    }  # fmt: skip
    assert "refused" in told["tables"], "what the far end said is kept, without the secret"
    for where, text in told.items():
        for name, secret in (("the source's", planted), ("okta's", CONNECTOR), ("ntfy's", PUSH), ("the topic", TOPIC), ("the mail server's", MAIL)):
            found_at = [text[max(0, at - 120) : at + 40] for one in written(secret) if (at := text.find(one)) >= 0]
            assert not found_at, f"{name} secret stands in {where}: {found_at[0]!r}"


def _figures() -> Iterator[Any]:
    with reading() as session:
        yield from metrics.sums(session)
