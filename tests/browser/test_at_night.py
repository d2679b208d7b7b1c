"""03:12, with a phone in the hand: an alert comes in, a push rings, one tap says "I have it", and three steps are done."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import page_audit
import pytest
from accounts import ADMIN, PASSWORD, installed, joined
from in_chromium import PHONE, Person
from playwright.sync_api import Browser, Page, expect
from free_ports import wait_until
from ringing import Bell, count, rows
from running_tocsin import Tocsin
from vendor_server import Vendor

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

PLAYBOOKS = """
version: 1
playbooks:
  beacon:
    name: A host calls out
    mode: act
    triggers: [{on: incident.opened, when: 'incident.severity == "critical"'}]
    steps:
      - {id: ring, page: {policy: soc, message: "A computer talks to an address that is known for ransomware.\\nWhere: {{ incident.host }}, in finance"}}
      - {id: owner, name: Phone the owner, task: {title: "Phone the owner of {{ incident.host }}"}}
      - {id: cable, name: Pull the cable, task: {title: Pull the cable and leave it switched on}}
      - {id: lead, name: Tell the lead, task: {title: Tell the lead in two sentences}}
      - {id: after, name: Write it down, task: {title: Write it down}}
"""
TITLE, HOST = "Beacon to a ransomware address", "finance-7"
STEPS = ["Phone the owner of {host}", "then Pull the cable", "then Tell the lead"]
LEDGER = ["Received", "Decided to page", "Sent", "Receipt", "Acknowledged"]


def _where_it_is_night() -> str:
    """A zone in which it is now between three and four in the morning."""
    ahead = (3 - datetime.now(UTC).hour + 12) % 24 - 12
    return f"Etc/GMT{-ahead:+d}"  # their signs are those of POSIX: behind is plus


def _set_up(tocsin: Tocsin, vendor: Vendor) -> Bell:
    """Ana is paged by a push, Luis in his inbox; both at once."""
    ana = installed(tocsin)
    joined(tocsin, ana, "Luis", "responder")
    people = {str(email): UUID(str(number)) for number, email in rows(tocsin, "SELECT id, email FROM users")}
    them = [f"user:{people[email]}" for email in (ADMIN, "luis@example.org")]
    added = ana.open("/profile")
    added.forms = [form for form in added.forms if form.fields.get("channel") == ["ntfy"]]
    ana.submit(added, "/profile/contacts$", address__topic="ana-8fk2", address__server=vendor.url)
    ana.submit(
        ana.open("/oncall/policies/new"), "/oncall/policies/new", name="soc", s0__target=them, s0__minutes="5",
        last__target=[them[0], ""], repeat="0", default="",
    )  # fmt: skip
    ana.client.close()
    return Bell(tocsin)


def _places(page: Page, *texts: str) -> list[float]:
    """How far down each of these texts stands, in pixels."""
    boxes = [page.get_by_text(text).first.bounding_box() for text in texts]
    return [box["y"] for box in boxes if box]


def _large(page: Page) -> float:
    """The size of the title's letters beside the largest of the text below the button, as a factor."""
    sizes = "(all) => Math.max(...all.map((one) => parseFloat(getComputedStyle(one).fontSize)))"
    title, others = (page.locator(of).evaluate_all(sizes) for of in ("h1", "main li, main p.ack-line, main h2"))
    return float(title) / float(others)


def _looks_right(page: Page) -> None:
    for theme in ("light", "dark"):
        page_audit.paint(page, theme)
        assert not page_audit.broken_rules(page)
        assert not page_audit.too_wide(page)


def test_the_phone_rings_at_night(
    chromium: Browser, tocsin: Callable[..., Tocsin], vendor: Vendor, tmp_path: Path
) -> None:
    (tmp_path / "beacon.yaml").write_text(PLAYBOOKS, encoding="utf-8")
    running = tocsin(TOCSIN_PLAYBOOKS=str(tmp_path / "beacon.yaml"))
    running.env["TOCSIN_BASE_URL"] = running.url
    bell = _set_up(running, vendor)
    with running.client() as tool:
        rang = bell.ring(tool, title=TITLE, severity="critical", host=HOST, category="intrusion")
    assert rang.status_code == 202
    [push] = vendor.wait_for(1)
    _has_begun(running, "Phone the owner%")
    told = json.loads(push.body)
    assert re.fullmatch(rf"CRITICAL: INC-\S+ {TITLE}", told["title"])

    zone = _where_it_is_night()
    ana = Person(chromium, running, viewport=PHONE, timezone_id=zone, has_touch=True, reduced_motion="reduce")
    page = ana.page
    page.goto(told["click"])
    title, steps = page.get_by_role("heading", level=1), page.locator(".ack-steps li")
    expect(title).to_contain_text(TITLE)
    assert _large(page) > 1.3
    button = page.get_by_role("button", name="Acknowledge")
    box = button.bounding_box()
    assert box is not None
    assert box["width"] > 0.85 * PHONE["width"], "a thumb does not find it"
    assert box["y"] + box["height"] < PHONE["height"], "it is not on the first screen"
    expect(steps).to_have_text([step.format(host="▒▒▒") for step in STEPS])
    down = _places(page, "Critical", TITLE, "known for ransomware", "Acknowledge", "Pull the cable", "Also paged")
    assert down == sorted(down)
    shown = page.content()
    for secret in (HOST, "Luis", "Approve"):
        assert secret not in shown, f"{secret} is told to whoever holds the link"
    _looks_right(page)
    assert rows(running, "SELECT count(*) FROM pages WHERE acknowledged_at IS NOT NULL") == [(0,)]

    button.tap()
    expect(page.locator(".ack-have")).to_contain_text("You have it")
    moments = page.locator(".moments li")
    expect(moments).to_have_count(len(LEDGER))
    lines = [line.split("\n") for line in moments.all_inner_texts()]
    assert [words[0] for words in lines] == LEDGER
    assert all(re.fullmatch(r"0[34]:\d\d:\d\d\.\d{3}", words[1]) for words in lines), lines
    with running.client(headers=_token(running)) as reader:
        [listed] = reader.get("/api/v1/pages").raise_for_status().json()["items"]
        ledger = reader.get(f"/api/v1/pages/{listed['id']}").raise_for_status().json()["ledger"]
    at = {line["what"]: line["ms"] for line in ledger if line["channel"] != "inbox"}
    assert 0 == at["received"] <= at["decided"] <= at["sent"] <= at["receipt"] < at["acknowledged"]
    assert at["receipt"] < 10_000, "it took too long to go out"
    expect(page.get_by_text("It rings again at")).to_be_visible()
    _looks_right(page)

    page.get_by_role("link", name="Open it").tap()
    page.get_by_label("E-mail").fill(ADMIN)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").tap()
    page.wait_for_url(lambda address: "/login" not in address)
    expect(page.locator("#pages .moments li")).to_have_text([re.compile(word) for word in LEDGER])
    for step in (f"Phone the owner of {HOST}", "Pull the cable", "Tell the lead"):  # one tap each, without scrolling
        task = page.locator("article.task").filter(has_text=step)
        expect(task.get_by_role("button", name="Done")).to_be_in_viewport()
        page.wait_for_load_state()
        task.get_by_role("button", name="Done").tap()
        expect(page.locator(".done-tasks")).to_contain_text(step)
    _has_begun(running, "Write it down")
    page.goto(told["click"])
    expect(page.locator(".ack-others")).to_contain_text("Luis")
    steps.filter(has_text="Write it down").get_by_role("link").tap()
    expect(page.locator("article.task").filter(has_text="Write it down")).to_be_in_viewport()
    page.goto(told["click"])
    expect(steps.first).to_have_text("Write it down")
    expect(page.get_by_text("It rings again at")).to_have_count(0)
    _looks_right(page)
    ana.close()


def _has_begun(tocsin: Tocsin, task: str) -> None:
    """The playbook has come to this task; it does so after it has rung, and after the task before is done."""
    begun = "SELECT count(*) FROM tasks WHERE title LIKE :task"
    wait_until(lambda: count(tocsin, begun, task=task), what=f"the task {task}")


def _token(tocsin: Tocsin) -> dict[str, str]:
    made = tocsin.json("token", "create", "--name", "reader", "--scope", "role:auditor")
    return {"Authorization": f"Bearer {made['token']}"}
