"""The manager's journey: reads one incident's report, takes it along as a file, and cannot change what it says."""

import json
from collections.abc import Iterator

import pytest
from accounts import installed, joined
from browsing import Browser
from free_ports import wait_until
from ringing import Bell, count, rows
from running_tocsin import Tocsin

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def closed_case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Tocsin, Browser, str]]:
    """An incident that Ana has worked on and closed, and Mara's browser: one for all tests of this file, which read."""
    installation = Tocsin(tmp_path_factory.mktemp("manager") / "data")
    try:
        yield _closed_case(installation)
    finally:
        installation.end()


def _closed_case(installation: Tocsin) -> tuple[Tocsin, Browser, str]:
    ana = installed(installation)
    with installation.client() as client:
        answer = Bell(installation).ring(
            client, title="Beacon from finance-7", severity="high", host="finance-7", src_ip="203.0.113.9"
        )
        assert answer.status_code == 202
    wait_until(lambda: count(installation, "SELECT count(*) FROM incidents") == 1, what="the incident")
    key = str(rows(installation, "SELECT key FROM incidents")[0][0])
    page = ana.submit(ana.open(f"/incidents/{key}"), "/take")
    page = ana.submit(page, "/comment", body="Host taken off the network by hand.")
    ana.submit(page, "/confirm", to="declared", because="The host spoke with a known control server.")
    ana.submit(
        ana.open(f"/incidents/{key}/close"), "/close", disposition="true_positive", summary="One host, one hour.",
        root_cause="A stolen session.",
    )  # fmt: skip
    return installation, joined(installation, ana, "Mara", "manager"), key


def test_the_report_says_what_happened_who_did_it_and_when(closed_case: tuple[Tocsin, Browser, str]) -> None:
    installation, mara, key = closed_case
    assert key in mara.open("/reports").html
    report = mara.open(f"/reports/{key}")
    for said in (
        "Beacon from finance-7",
        "Ana",
        "One host, one hour.",
        "Host taken off the network by hand.",
    ):
        assert said in report.text, said
    pdf = mara.client.get(f"/reports/{key}/pdf")
    assert pdf.status_code == 200
    assert pdf.content.startswith(b"%PDF-")
    data = mara.client.get(f"/reports/{key}/json").json()
    assert key in json.dumps(data)
    bundle = mara.client.get(f"/reports/{key}/stix").json()
    assert bundle["type"] == "bundle"
    assert "203.0.113.9" in json.dumps(bundle)
    on_disk = installation.data / "report.json"
    installation.run("report", key, "--format", "json", "-o", str(on_disk))
    assert key in on_disk.read_text(encoding="utf-8")


def test_the_manager_reads_the_journal_and_asks_but_runs_nothing_here(
    closed_case: tuple[Tocsin, Browser, str],
) -> None:
    _installation, mara, key = closed_case
    assert "closed" in mara.open("/journal").text
    page = mara.open(f"/incidents/{key}")
    page = mara.submit(page, "/comment", body="Who told the customer?")
    assert "Who told the customer?" in page.text
    token = next((form.fields["csrf"][0] for form in page.forms if "csrf" in form.fields), "")
    for path in ("/settings/users", "/settings/sources/new/wazuh", "/settings/rules/new"):
        assert mara.client.post(path, data={"csrf": token, "name": "x"}).status_code == 403, path
