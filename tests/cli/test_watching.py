"""The watch over Tocsin finds what was forgotten, is late or was given up, and speaks up by a way of its own."""

import json
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from free_ports import free_port, wait_until
from incident_bench import incident, opened, take
from mail_server import MailServer
from running_tocsin import Tocsin
from tables_ready import Database
from vendor_server import Vendor

from cli import alarming, watching
from cli.alarming import Memory
from cli.watching import Finding, Limits
from core import work
from core.actors import SYSTEM
from core.auth import users
from core.db import reading, unit_of_work
from core.errors import Invalid
from core.types import Ref, Severity
from incidents import lifecycle
from notify import contacts, delivery
from notify.escalation import Target
from notify.models import PageAttempt
from notify.oncall.policy_editing import PolicyDraft, StepDraft, create_policy
from notify.sending import ATTEMPTS

SOON = Limits(*[timedelta(milliseconds=1)] * 4)


def found(database: Database, limits: Limits = SOON) -> dict[str, str]:
    """What the watch says now, by the check that says it."""
    time.sleep(0.01)
    engine = watching.opened(database.url)
    return {one.key.partition(":")[0]: one.says for one in watching.look(engine, limits)}


def on_call() -> None:
    """Ana is reached by the default policy."""
    with unit_of_work() as uow:
        ana = users.create(uow, SYSTEM, email="ana@example.org", name="Ana", roles=["responder"])
        contacts.add(uow, SYSTEM, user_id=ana.id, channel="email", address={"to": ana.email})
        target = (Target("user", str(ana.id)),)
        create_policy(uow, SYSTEM, PolicyDraft("default", (StepDraft(target, 1800),), target))


def serious() -> UUID:
    """An incident of high severity that came from an alert."""
    (accepted,) = take(_high())
    assert accepted.incident_id is not None
    return accepted.incident_id


def _high():  # type: ignore[no-untyped-def]  # a draft of the bench's own kind
    from incident_bench import draft

    return draft(severity=Severity.high)


def test_a_serious_incident_nobody_was_paged_for_is_found(database: Database) -> None:
    number = serious()
    key = incident(number).key
    assert found(database, Limits()) == {}, "it is too early to worry"
    assert found(database)["unattended"] == (
        f"{key} (high) is open, and nobody has been paged for it: there is no escalation policy to page by."
    )
    on_call()
    assert found(database)["unattended"].endswith("nobody has been paged for it.")
    with unit_of_work() as uow:
        delivery.page(
            uow, SYSTEM, policy="default", subject=Ref("incident", str(number)), title=key, message="",
            severity=Severity.high, path="/",
        )  # fmt: skip
    assert "unattended" not in found(database)


def test_an_incident_that_somebody_looks_at_is_not_forgotten(database: Database) -> None:
    opened(severity=Severity.low)
    number = serious()
    assert "unattended" in found(database)
    with unit_of_work() as uow:
        lifecycle.assign(uow, SYSTEM, number, UUID(int=7))
    assert "unattended" not in found(database)


def test_an_urgent_page_that_reached_nobody_is_found(database: Database, smtp_server: MailServer) -> None:
    on_call()
    with unit_of_work() as uow:
        page = delivery.page(
            uow, SYSTEM, policy="default", subject=Ref("incident", "1"), title="x", message="",
            severity=Severity.high, path="/",
        )  # fmt: skip
    assert str(page.id).replace("-", "") in found(database)["unsent"].replace("-", "")
    from core.settings import configure, settings

    configure(settings().with_(smtp_url=smtp_server.url))
    work.drain("notify.attempts")
    assert len(smtp_server.messages) == 1
    assert "unsent" not in found(database)


def test_late_work_is_found_and_work_in_hand_is_not(database: Database) -> None:
    on_call()
    with unit_of_work() as uow:
        delivery.page(
            uow, SYSTEM, policy="default", subject=Ref("incident", "1"), title="x", message="",
            severity=Severity.low, path="/",
        )  # fmt: skip
    assert found(database)["overdue"].startswith("Work is late: 2 rows of page_attempts due")
    assert "overdue" not in found(database, Limits(late=timedelta(seconds=30)))
    assert len(work.claim(ATTEMPTS, 10)) == 2
    for kind in work.kinds().values():  # whoever hears of the page
        work.claim(kind, 10)
    assert "overdue" not in found(database), "somebody has it in hand"


def test_work_that_two_workers_gave_up_is_found(database: Database) -> None:
    on_call()
    with unit_of_work() as uow:
        delivery.page(
            uow, SYSTEM, policy="default", subject=Ref("incident", "1"), title="x", message="",
            severity=Severity.low, path="/",
        )  # fmt: skip
    for taken in (1, 2):
        claims = work.claim(ATTEMPTS, 1)
        assert [claim.attempts for claim in claims] == [taken]
        assert "abandoned" not in found(database), "a worker has it in hand"
        with unit_of_work() as uow:  # its worker dies, and its lease runs out
            uow.get_one(PageAttempt, claims[0].id).lease_until = uow.now
        with reading() as session:
            assert session.get_one(PageAttempt, claims[0].id).error is None
    assert "1 rows of page_attempts" in found(database)["abandoned"]


def test_a_database_that_does_not_answer_is_found(tmp_path: Path) -> None:
    engine = watching.opened(f"postgresql://nobody@127.0.0.1:{free_port()}/nothing")
    (one,) = watching.look(engine)
    assert one.key == "database"


def test_what_was_told_is_not_told_again_and_outlives_a_restart(
    sqlite_database: Database, tmp_path: Path, vendor: Vendor, smtp_server: MailServer
) -> None:
    ways = [f"{vendor.url}/alarm", f"{smtp_server.url}?to=soc@example.org&from=watch@example.org"]
    wrong = [Finding("unattended:INC-1", "INC-1 is open."), Finding("overdue:runs", "Work is late.")]

    def look(memory: Memory, *findings: Finding) -> bool:
        memory.last = 0.0  # a minute has passed
        return alarming.round_of(memory, findings, ways, "tocsin@example.org", "http://tocsin.test")

    memory = Memory.load(tmp_path / "watch.json")
    assert not look(memory)
    assert look(memory, wrong[0])
    assert not look(memory, wrong[0])
    memory = Memory.load(tmp_path / "watch.json")
    assert not look(memory, wrong[0])
    assert look(memory, *wrong)
    assert [call.json["findings"] for call in vendor.calls] == [
        [{"key": "unattended:INC-1", "says": "INC-1 is open."}],
        [{"key": "overdue:runs", "says": "Work is late."}],
    ]
    assert [m["Subject"] for m in smtp_server.messages] == [
        "Tocsin's watch: INC-1 is open.",
        "Tocsin's watch: Work is late.",
    ]
    assert {m["X-Envelope-To"] for m in smtp_server.messages} == {"soc@example.org"}
    memory.seen = dict.fromkeys(memory.seen, time.time() - 301)
    assert look(memory, wrong[0])
    assert vendor.calls[-1].json["text"].endswith("Over: overdue:runs.")
    memory.told = dict.fromkeys(memory.told, time.time() - 3601)
    assert look(memory, wrong[0]), "after an hour it is told again"


def test_nothing_counts_as_told_that_nobody_heard(
    sqlite_database: Database, tmp_path: Path, vendor: Vendor
) -> None:
    silent = f"http://127.0.0.1:{free_port()}/alarm"
    memory = Memory.load(tmp_path / "watch.json")
    wrong = [Finding("x", "Something is wrong.")]
    assert not alarming.round_of(memory, wrong, [silent], "t@example.org", "http://tocsin.test")
    assert alarming.round_of(memory, wrong, [silent, vendor.url], "t@example.org", "http://tocsin.test")
    assert not alarming.round_of(
        memory, [Finding("y", "Another.")], [vendor.url], "t@example.org", "http://x"
    ), "two notifications are a minute apart"


@pytest.mark.parametrize("way", ["ftp://x", "smtp://mail.example.org", "https://", "soc@example.org"])
def test_a_way_that_cannot_be_used_is_refused_at_the_start(way: str) -> None:
    with pytest.raises(Invalid, match="TOCSIN_WATCH_NOTIFY"):
        alarming.checked(way)


def test_the_watch_beside_serve_says_that_all_is_well_and_that_it_was_killed(
    tocsin: Callable[..., Tocsin], vendor: Vendor
) -> None:
    installation = tocsin(TOCSIN_WATCH_NOTIFY=f"{vendor.url}/alarm").start()
    token = installation.json("token", "create", "--name", "operator", "--scope", "settings.manage")["token"]

    def heartbeat_to(url: str) -> None:
        with installation.client(headers={"Authorization": f"Bearer {token}"}) as operator:
            wanted = [{"name": "heartbeat_url", "value": url}]
            assert operator.put("/api/v1/settings", json={"items": wanted}).status_code == 200

    heartbeat_to(f"{vendor.url}/beat")
    wait_until(lambda: [c for c in vendor.calls if c.path == "/beat"], what="the heartbeat")
    heartbeat_to(f"{vendor.url}/elsewhere")
    wait_until(lambda: [c for c in vendor.calls if c.path == "/elsewhere"], what="the new address's first heartbeat")
    heartbeat_to("")
    wait_until(lambda: "pause the check that waits for it outside" in installation.log.read_text(encoding="utf-8"), what="the watch's word")
    assert [c for c in vendor.calls if c.path == "/alarm"] == []
    installation.kill()
    wait_until(lambda: [c for c in vendor.calls if c.path == "/alarm"], what="the alarm")
    (alarm,) = [json.loads(c.body) for c in vendor.calls if c.path == "/alarm"]
    assert [one["key"] for one in alarm["findings"]] == ["process"]
    installation.start()
    assert installation.run("watch", "--once") == "All is well.\n"
    assert installation.stop() < 8
