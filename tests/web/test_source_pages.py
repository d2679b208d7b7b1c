"""Sources on the pages: connected, learned, told what they need; secrets shown once."""

import ast
import base64
import html
import http.server
import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from at_certificates import self_signed
from at_the_pages import Reader, text_of
from people_here import People

from cli import assemble
from core import certificates
from core.actors import SYSTEM
from core.db import reading, unit_of_work
from core.settings import configure, settings
from incidents import rules
from ingest import sources, storing
from ingest.storing import Arrival, body_key
from ingest.tail import assembled

Drain = Callable[[str], int]

pytestmark = pytest.mark.usefixtures("sqlite_database")

assemble.load()


@pytest.fixture
def ana(people: People) -> Reader:
    """The administrator."""
    return Reader(people.ana)


def add(ana: Reader, name: str, connector: str = "suricata", **fields: str) -> str:
    """Add a source; returns the page that shows its secret."""
    return ana.post(f"/settings/sources/new/{connector}", status=200, name=name, **fields).text


def test_a_source_added_here_learns_unless_told_otherwise(ana: Reader) -> None:
    add(ana, "eager", learn="")
    page = add(ana, "careful", learn="yes")
    assert "It is still being learned" in text_of(page)
    assert "It is still being learned" not in text_of(ana.get("/settings/sources/eager"))
    listed = text_of(ana.get("/settings/sources"))
    assert "careful learning" in listed
    assert "eager learning" not in listed
    ana.post("/settings/sources/careful/learned")
    assert "It is still being learned" not in text_of(ana.get("/settings/sources/careful"))
    assert "ended the learning of the source" in text_of(ana.get("/journal"))


def test_who_may_not_manage_sources_cannot_end_learning(ana: Reader, people: People) -> None:
    add(ana, "careful", learn="yes")
    rita = Reader(people.rita)
    assert "End learning now" not in rita.get("/settings/sources/careful")
    rita.post("/settings/sources/careful/learned", status=403)
    with reading() as session, unit_of_work() as uow:
        assert sources.get(session, "careful").learning(uow.now)


# ------------------------------------------------------------------------------------------------ connecting


def texts_of(page: str) -> list[str]:
    """What is there to copy."""
    return [html.unescape(text) for text in re.findall(r'data-copy="(.*?)"', page, re.DOTALL)]


def secret_of(page: str) -> str:
    found = re.search(r"This secret is shown this once.*?data-copy=\"([\w-]+)\"", page, re.DOTALL)
    assert found is not None
    return found[1]


def test_products_are_searched_for(ana: Reader) -> None:
    found = ana.get("/settings/sources?find=SURI")
    assert "/settings/sources/new/suricata" in found
    assert "/settings/sources/new/wazuh" not in found
    assert "There is no product of that name" in ana.get("/settings/sources?find=%3Cscript%3E")


def test_a_product_that_writes_files_gets_finished_configurations(ana: Reader) -> None:
    configure(settings().with_(base_url="http://127.0.0.1:8000"))
    page = add(ana, "ids", "suricata")
    secret = secret_of(page)
    texts = texts_of(page)
    install = next(text for text in texts if "--install" in text)
    assert "--url http://127.0.0.1:8000/ingest/ids /var/log/suricata/eve.json <<'END'" in install
    assert install.splitlines()[-2:] == [secret, "END"], "never in what ps shows"
    fetch = next(text for text in texts if "/tail.py" in text)
    assert assembled.digest() in fetch
    vector = yaml.safe_load(next(text for text in texts if "sinks:" in text))
    sink = vector["sinks"]["tocsin_ids"]
    assert sink["auth"] == {"strategy": "bearer", "token": secret}
    assert sink["inputs"] == list(vector["transforms"])
    assert vector["transforms"]["ids_alerts"]["condition"] == (
        'contains(string!(.message), "\\"event_type\\":\\"alert\\"")'
    )
    bit = next(text for text in texts if "[OUTPUT]" in text)
    assert f"Header         Authorization Bearer {secret}" in bit
    assert "Retry_Limit    no_limits" in bit
    rsyslog = next(text for text in texts if "omhttp" in text)
    assert 'restpath="ingest/ids"' in rsyslog
    assert "Only this machine reaches this address. Set TOCSIN_BASE_URL" in text_of(page)
    again = ana.get("/settings/sources/ids")
    assert secret not in again
    assert any("SECRET\nEND" in text for text in texts_of(again))


def test_an_address_that_others_reach_is_shown_without_a_warning(ana: Reader, tmp_path: Path) -> None:
    certificate, _fingerprint = self_signed(tmp_path, "10.0.0.5")
    pin = certificates.read(certificate).key
    for_curl = base64.b64encode(bytes.fromhex(pin)).decode()
    given = settings().with_(base_url="https://10.0.0.5:8443", tls_certificate=certificate)
    configure(given)
    page = add(ana, "ids", "suricata")
    assert "Only this machine" not in text_of(page)
    install = next(text for text in texts_of(page) if "--install" in text)
    assert f"--pin {pin}" in install
    assert any(
        f"curl -fsS -k --pinnedpubkey 'sha256//{for_curl}' -o tocsin_tail.py" in text
        for text in texts_of(page)
    )
    assert "https://10.0.0.5:8443/ingest/ids" in install


def test_a_certificate_that_nobody_else_signed_is_trusted_by_every_configuration(
    ana: Reader, tmp_path: Path
) -> None:
    certificate, _fingerprint = self_signed(tmp_path, "10.0.0.5")
    shown = certificates.read(certificate)
    for_curl = base64.b64encode(bytes.fromhex(shown.key)).decode()
    configure(settings().with_(base_url="https://10.0.0.5:8443", tls_certificate=certificate))
    page = add(ana, "siem", "wazuh")
    assert 'href="/certificate.pem"' in page
    assert shown.fingerprint in page
    texts = texts_of(page)
    fetch = f"sudo curl -fsS -k --pinnedpubkey 'sha256//{for_curl}' -o /etc/tocsin.pem https://10.0.0.5:8443/certificate.pem"
    assert any(text.startswith(fetch) for text in texts)
    script = next(text for text in texts if text.startswith("#!/usr/bin/env python3"))
    ast.parse(script, feature_version=(3, 6))
    assert 'ssl.create_default_context(cafile="/etc/tocsin.pem")' in script
    rsyslog = next(text for text in texts if "omhttp" in text)
    assert 'useHttps="on" tls.cacert="/etc/tocsin.pem"' in rsyslog
    vector = yaml.safe_load(next(text for text in texts if "sinks:" in text))
    assert vector["sinks"]["tocsin_siem"]["tls"] == {"ca_file": "/etc/tocsin.pem"}
    bit = next(text for text in texts if "[OUTPUT]" in text)
    assert "    tls.verify     On\n    tls.ca_file    /etc/tocsin.pem\n" in bit
    assert "curl --cacert /etc/tocsin.pem -X POST https://10.0.0.5:8443/ingest/siem" in html.unescape(page)
    trick = add(ana, "siem-trick", "wazuh", proof="url_token")
    assert "cannot be told of ours" in text_of(trick)
    assert not any("<name>shuffle</name>" in text for text in texts_of(trick))
    assert 'href="/certificate.pem"' in add(ana, "boards", "grafana"), "also for what posts by itself"


def test_a_certificate_that_somebody_signed_needs_no_file(ana: Reader) -> None:
    configure(settings().with_(base_url="https://soc.example"))
    page = add(ana, "siem", "wazuh")
    for word in ("certificate.pem", "tocsin.pem", "tls.cacert", "ca_file", "--cacert"):
        assert word not in page, word


def test_wazuhs_shuffle_trick_is_shown_with_its_price(ana: Reader) -> None:
    page = text_of(add(ana, "wazuh", "wazuh"))
    assert "14 rule ids, among them 5710" in page
    assert "add a source whose token is in the address" in page
    other = add(ana, "wazuh-trick", "wazuh", proof="url_token")
    trick = next(text for text in texts_of(other) if "<name>shuffle</name>" in text)
    assert f"/ingest/wazuh-trick/{secret_of(other)}</hook_url>" in trick


def test_the_integrator_script_tries_again_and_gives_up_loudly(tmp_path: Path, ana: Reader) -> None:
    script = next(
        text for text in texts_of(add(ana, "wazuh", "wazuh")) if text.startswith("#!/usr/bin/env python3")
    )
    ast.parse(script, feature_version=(3, 6))
    (tmp_path / "custom-tocsin").write_text(script)
    (tmp_path / "alert").write_text('{"rule": {"level": 7}}')
    heard: list[tuple[str, bytes]] = []
    answers = [503, 202]

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(
                (self.headers["Authorization"], self.rfile.read(int(self.headers["Content-Length"])))
            )
            self.send_response(answers.pop(0))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    def run() -> subprocess.CompletedProcess[str]:
        url = f"http://127.0.0.1:{server.server_port}/ingest/wazuh"
        words = [sys.executable, "-I", "custom-tocsin", "alert", "s3cret", url]
        return subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            assert run().returncode == 0
            answers.append(401)
            refused = run()
        finally:
            server.shutdown()
            thread.join()
    assert heard[:2] == [("Bearer s3cret", b'{"rule": {"level": 7}}')] * 2
    assert refused.returncode == 1
    assert "this alert was not taken: 401" in refused.stderr


def test_a_product_that_posts_is_told_what_to_paste(ana: Reader) -> None:
    page = add(ana, "grafana", "grafana")
    secret = secret_of(page)
    assert f"Authorization: Bearer {secret}" in texts_of(page)
    assert "tocsin_tail.py" not in page
    signed = add(ana, "code", "github")
    assert secret_of(signed) in texts_of(signed)
    assert "X-Hub-Signature-256" in signed


# ------------------------------------------------------------------------------------------------ what arrived


def deliver(name: str, *events: dict[str, object]) -> None:
    with reading() as session:
        source = sources.get(session, name)
    raw = b"\n".join(json.dumps(event).encode() for event in events)
    arrival = Arrival(
        source_id=source.id, body=raw, content_type="application/x-ndjson", headers={}, key=body_key(raw)
    )
    storing.store([arrival])
    with unit_of_work() as uow:
        rules.seed(uow)


def event(rule: str, host: str, level: int = 12, number: str = "1.1") -> dict[str, object]:
    return {
        "timestamp": "2026-03-02T09:00:00.000+0000", "id": number, "agent": {"id": host, "name": host},
        "rule": {"id": rule, "level": level, "description": f"<b>Rule</b> {rule}", "mitre": {"id": ["T1110"]}},
        "data": {"srcip": "203.0.113.7"},
    }  # fmt: skip


def test_the_first_alert_is_shown_raw_beside_what_was_understood(ana: Reader, drain: Drain) -> None:
    waiting = text_of(add(ana, "wazuh", "wazuh"))
    assert "Waiting for the first alert…" in waiting
    deliver(
        "wazuh", event("1", "other", level=0), event("5712", "web-1", number="7.7"), event("2", "x", level=0)
    )
    drain("ingest.deliveries")
    page = ana.get("/settings/sources/wazuh")
    assert "<b>Rule</b>" not in page
    raw = re.search(r'<pre class="wrap short".*?>(.*?)</pre>', page, re.DOTALL)
    assert raw is not None
    assert json.loads(html.unescape(raw[1])) == event("5712", "web-1", number="7.7"), (
        "this one event of three"
    )
    shown = text_of(page)
    for understood in (
        "<b>Rule</b> 5712",
        "High because it said 12",
        "web-1",
        "203.0.113[.]7",
        "T1110",
        "late",
    ):
        assert understood in shown, understood
    assert "Fix the mapping" in shown
    assert 'data-live="source:' in page


def test_the_day_in_one_sentence(ana: Reader, drain: Drain) -> None:
    add(ana, "wazuh", "wazuh", learn="yes")
    noisy = [event("5710", f"h{n % 3}", level=3, number=f"{n}.0") for n in range(30)]
    deliver("wazuh", *noisy, *[event(f"9{n}", f"h{n}", level=3, number=f"{n}.9") for n in range(7)])
    deliver("wazuh", event("5712", "web-1", number="x"))
    drain("ingest.deliveries")
    page = ana.get("/settings/sources/wazuh")
    assert "38 alerts → 1 incident , 1 would have paged; 84 % from 3 rules." in text_of(page)
    assert 'href="/alerts?source=wazuh&amp;rule=5710&amp;state=all"' in page
    for link in set(re.findall(r'href="(/(?:alerts|incidents)\?[^"]*)"', page)):
        assert ana.get(html.unescape(link))


def test_hidden_alerts_are_neither_shown_nor_counted(ana: Reader, people: People, drain: Drain) -> None:
    add(ana, "hr", "wazuh")
    with unit_of_work() as uow:
        sources.change(uow, SYSTEM, sources.get(uow, "hr").id, restricted_to=[str(people.raul.user_id)])
    deliver("hr", event("5712", "secret-host"))
    drain("ingest.deliveries")
    assert "secret-host" not in ana.get("/settings/sources/hr")
    assert "alert →" not in text_of(ana.get("/settings/sources/hr"))
    assert "secret-host" in Reader(people.raul).get("/settings/sources/hr")


@pytest.mark.parametrize(
    ("product", "shown"),
    [
        ("suricata", ("curl http://testmynids.org/uid/index.html", "1:2100498")),
        ("wazuh", ("ssh -o NumberOfPasswordPrompts=1 tocsin-test@localhost", "rule 5710")),
    ],
)
def test_a_harmless_alert_is_asked_for_with_one_command(ana: Reader, product: str, shown: tuple[str, ...]) -> None:
    page = text_of(add(ana, product, product, learn="1"))
    assert "Make a harmless test alert" in page
    assert "While it is learned, it pages nobody." in page
    for words in shown:
        assert words in page
    assert "Make a harmless test alert" not in add(ana, "door", "generic_json")
