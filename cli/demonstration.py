"""What happens in the demo while it runs: a small team, and tools that send our own sample alerts over HTTP."""

import shutil
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import select

from cli import demo_past, demo_stage, posting, serving
from cli.demo_stage import SAMPLES, TEAM, Stage, do, newest, open_pages, open_tasks
from cli.sample_times import moved_to
from cli.saying import echo
from connectors import rails
from core import logs
from core.actors import Actor
from core.db import reading, unit_of_work
from core.errors import TocsinError
from core.net import http
from core.settings import Settings
from incidents import tasks
from incidents.models import Incident, Task
from playbooks.models import PlaybookRun, Wait

log = logs.get(__name__)
PATIENCE = 60.0
"""Seconds for what follows from an alert or an answer; a moment, where the machine has nothing else to do."""


def clear(folder: Path) -> None:
    """Remove what an earlier demo left, and nothing that is not a demo's."""
    if (folder / "demo").exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "demo").touch()


def prepared(given: Settings, *, fresh: bool) -> Stage:
    """The installation with its team; a fresh one has a week behind it, and a day and a half in which something happened."""
    if not fresh:
        serving.set_up(given)
        return demo_stage.people()
    return demo_past.played(given)


def play(given: Settings, stage: Stage, *, fresh: bool = True) -> None:
    """Send the alerts, let the team answer some of them, and print where to look. Runs beside the server.

    Going on with an earlier demo, nothing new is sent.
    """
    try:
        if not _until(lambda: _answers(given), 120):
            return
        _print_welcome(given, stage)
        if fresh:
            _happen(stage)
        _print_links(given)
    except TocsinError as error:
        log.warning("the demo stopped early", extra={"reason": error.message})


def _happen(stage: Stage) -> None:
    """What comes in while somebody looks: noise, and three that wait for a person."""
    for tool, sample in (("suricata", "mixed.ndjson"), ("falco", "write-below-etc.json")):
        _post(stage, tool, sample)
    _post(stage, "splunk", "brute-force.json")
    _to_be_approved(stage, _incident("login", source="splunk"))
    _post(stage, "github", "secret-leaked.json", {"X-GitHub-Event": "secret_scanning_alert"})
    _post(stage, "crowdstrike", "ransomware-behaviour.json")
    _to_be_agreed(stage)
    _until(lambda: newest("malware", source="crowdstrike") is not None, PATIENCE)
    _until(lambda: bool(open_pages()), PATIENCE)


def _to_be_agreed(stage: Stage) -> None:
    """The manager wants a larger budget; somebody else must agree."""
    with unit_of_work() as uow:
        rails.set_budget(uow, stage.actor("Marta Gil"), "disruptive", 40)


# ---------------------------------------------------------------------------------------------- what tools send


def _post(stage: Stage, tool: str, sample: str, headers: dict[str, str] | None = None) -> None:
    url, proof, secret = stage.tools[tool]
    body = (SAMPLES / tool / sample).read_bytes()
    answer = posting.post(
        url, proof, secret, moved_to(body, datetime.now(UTC) - timedelta(seconds=3)), headers or {}
    )
    if answer.status != 202:
        log.warning(
            "the demo's %s was refused", tool, extra={"status": answer.status, "answer": answer.text[:300]}
        )


# ---------------------------------------------------------------------------------------------- what the team does


def _to_be_approved(stage: Stage, incident: UUID | None) -> None:
    """One incident whose playbook asks before it blocks an address."""
    if incident is not None:
        _answer(stage.actor("Luis Ortega"), incident, success="no", explained="none", accounts=41)


def _answer(actor: Actor, incident: UUID, **answers: Any) -> None:
    """Complete the task whose form asks for these; waits until the playbook has come that far."""

    def asked() -> list[Task]:
        return [
            t
            for t in open_tasks(incident)
            if answers.keys() <= ((t.form or {}).get("properties") or {}).keys()
        ]

    if _until(lambda: bool(asked()), PATIENCE):
        do(tasks.complete, actor, asked()[0].id, answers)


# ---------------------------------------------------------------------------------------------- where to look


def _print_welcome(given: Settings, stage: Stage) -> None:
    echo(
        f"\n  Tocsin's demo is on {given.base_url}   sign in as {TEAM[0][0]}   password {stage.password}"
    )
    echo("  Tools are sending alerts now; nothing leaves this machine. Ctrl-C stops it.\n")


def _print_links(given: Settings) -> None:
    with reading() as session:
        incidents = list(session.scalars(select(Incident).order_by(Incident.created_at)))
        waits = select(Wait.id).where(
            Wait.kind == "approval", Wait.closed_at.is_(None), Wait.answered_at.is_(None)
        )
        approval = session.scalar(waits.order_by(Wait.created_at).limit(1))
        runs = select(PlaybookRun.id).where(PlaybookRun.state == "waiting")
        run = session.scalar(runs.order_by(PlaybookRun.created_at).limit(1))
    for incident in incidents:
        echo(f"  {incident.stage:16}{given.base_url}/incidents/{incident.key}   {incident.title[:60]}")
    if run:
        echo(f"  a playbook runs {given.base_url}/runs/{run}")
    if approval:
        echo(f"  approve or not  {given.base_url}/approvals/{approval}")
    for page in open_pages()[:1]:
        echo(f"  a page waits    {given.base_url}/pages/{page}")
    for closed in (one for one in incidents if one.closed_at and one.root_cause):
        echo(f"  a report        {given.base_url}/reports/{closed.key}")
    echo("")


def _incident(category: str, source: str | None = None) -> UUID | None:
    _until(lambda: newest(category, source) is not None, PATIENCE)
    return newest(category, source)


def _answers(given: Settings) -> bool:
    try:
        asked = http.Request(url=f"{given.base_url}/readyz", tls=posting.ourselves())
        return http.send(asked, egress=posting.OURSELVES).status == 200
    except TocsinError:
        return False


def _until(reached: Callable[[], bool], seconds: float) -> bool:
    """Whether `reached` became true within so many seconds."""
    pause, end = threading.Event(), time.monotonic() + seconds
    while time.monotonic() < end:
        if reached():
            return True
        pause.wait(0.2)
    return False
