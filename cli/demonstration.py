"""What happens in the demo: a small team, and tools that send our own sample alerts over HTTP."""

import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import click
from sqlalchemy import select

from cli import first_steps, posting
from cli.sample_times import moved_to
from connectors import blocklist, rails
from core import logs
from core.actors import SYSTEM, Actor
from core.auth import users
from core.auth.models import User
from core.db import reading, unit_of_work
from core.errors import TocsinError
from core.ids import secret_token
from core.net import http
from core.settings import Settings
from incidents import closing, comments, findings, follow_ups, lifecycle, reviewing, tasks
from incidents.findings import FindingDraft
from incidents.follow_ups import FollowUpDraft
from incidents.models import Incident, Task
from incidents.reviewing import PointDraft
from ingest import sources
from notify import delivery
from notify.models import Page
from playbooks.models import PlaybookRun, Wait

log = logs.get(__name__)
SAMPLES = Path(__file__).parents[1] / "connectors" / "samples"
TEAM = (
    ("ana@demo.example", "Ana Ruiz", ["administrator", "responder"]),
    ("luis@demo.example", "Luis Ortega", ["responder"]),
    ("marta@demo.example", "Marta Gil", ["manager", "auditor"]),
)
SOURCES = ("wazuh", "splunk", "github", "alertmanager", "suricata", "crowdstrike", "falco")
FEED = "Edge firewall"
PATIENCE = 60.0
"""Seconds for what follows from an alert or an answer; a moment, where the machine has nothing else to do."""


@dataclass
class Stage:
    """Who plays, with which password, and the address and secret of each tool."""

    password: str
    team: dict[str, User]
    tools: dict[str, tuple[str, str, str]] = field(default_factory=dict)  # name -> url, proof, secret

    def actor(self, name: str) -> Actor:
        """One of the team, as the doors see them."""
        return users.actor_of(self.team[name])


def clear(folder: Path) -> None:
    """Remove what an earlier demo left, and nothing that is not a demo's."""
    if (folder / "demo").exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "demo").touch()


def people() -> Stage:
    """Make the team, put it on call, and give each tool an address."""
    password = secret_token(9)
    hashed = users.hash_password(password)
    with unit_of_work() as uow:
        team = {}
        for email, name, roles in TEAM:
            user = users.by_email(uow, email) or users.create(
                uow, SYSTEM, email=email, name=name, roles=roles
            )
            users.set_password(uow, SYSTEM, user.id, hashed)
            # They have worked here for a week: a new installation would be one that is still being set up.
            user.created_at = user.empowered_at = min(user.created_at, uow.now - timedelta(days=7))
            team[name] = user
        first_steps.on_call(uow, [team["Ana Ruiz"], team["Luis Ortega"]])
        stage = Stage(password, team)
        for name in SOURCES:
            try:
                source = sources.get(uow, name)
                secret = sources.rotate(uow, SYSTEM, source.id)
            except TocsinError:
                source, secret = sources.create(uow, SYSTEM, name=name, connector=name)
            stage.tools[name] = (sources.url_of(source, secret), source.proof, secret)
        if not blocklist.feeds(uow):  # something that playbooks can do without leaving this machine
            blocklist.create_feed(uow, SYSTEM, name=FEED, kind="ip")
    return stage


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
    """One morning of a small team: noise, an outage that is over, a sign-in under way, three that wait."""
    for tool, sample in (("suricata", "mixed.ndjson"), ("falco", "write-below-etc.json")):
        _post(stage, tool, sample)
    _post(stage, "alertmanager", "service-down.json")
    outage = _incident("availability")
    _post(stage, "alertmanager", "service-up.json")
    _finished(stage, outage)
    _post(stage, "wazuh", "ssh-success-after-failures.json")
    _under_way(stage, _incident("login"))
    _post(stage, "splunk", "brute-force.json")
    _to_be_approved(stage, _incident("login", source="splunk"))
    _post(stage, "github", "secret-leaked.json", {"X-GitHub-Event": "secret_scanning_alert"})
    _post(stage, "crowdstrike", "ransomware-behaviour.json")
    _to_be_agreed(stage)
    _until(lambda: _incident_or_none("malware") is not None, PATIENCE)
    _until(lambda: bool(_open_pages()), PATIENCE)


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


def _finished(stage: Stage, incident: UUID | None) -> None:
    """One incident that is over: worked through, closed, with a report to read."""
    if incident is None:
        return
    ana = stage.actor("Ana Ruiz")
    _do(lifecycle.assign, ana, incident, ana.user_id)
    said = "Confirmed from my phone: the shop does not open. Last change: certificate renewal at 02:50."
    _do(comments.add, ana, incident, said)
    _answer(ana, incident, service="Web shop", works="it does not work", critical=True)
    _until(lambda: bool(_open_pages(incident)), 5)  # the answer wakes whoever is on call: Ana herself
    for page in _open_pages(incident):
        _do(delivery.acknowledge, ana, page, "page")
    _do(lifecycle.confirm, ana, incident, "declared", because="Customers could not buy")
    for stage_name in ("investigate", "recover"):
        _do(lifecycle.move, ana, incident, stage_name)
    time.sleep(1)  # the playbook hands out what comes next
    for task in _open_tasks(incident):
        _do(tasks.skip, ana, task.id, "Done by phone before the step came up.")
    ended = closing.Closing(
        disposition="operational_error",
        root_cause="The renewed certificate was not loaded: the reload hook failed.",
        summary="The web shop was down for the time shown. Reloading brought it back; the hook now alerts.",
    )
    _do(closing.close, ana, incident, ended)
    for point in (
        PointDraft(
            "impact",
            "Nobody could buy",
            "services",
            "known",
            result="the web shop, until it was reloaded",
            how="the shop's own log",
        ),
        PointDraft("gap", "Only the certificate's date was watched, not which one is served"),
        PointDraft("well", "The first page was answered at once"),
        PointDraft("badly", "The reload hook failed without telling anybody"),
    ):
        _do(reviewing.add, ana, incident, point)
    due = datetime.now(UTC) + timedelta(days=14)
    _do(
        follow_ups.add, ana, incident, FollowUpDraft("Watch the certificate that is served", ana.user_id, due)
    )
    same = closing.Closing(disposition="duplicate", summary="The same outage, seen from the other server.")
    for other in _open_incidents("availability"):
        _do(closing.close, ana, other, same)


def _under_way(stage: Stage, incident: UUID | None) -> None:
    """One incident that somebody works on: the user has been phoned, the account is being contained."""
    if incident is None:
        return
    luis = stage.actor("Luis Ortega")
    _do(lifecycle.assign, luis, incident, luis.user_id)
    _do(lifecycle.move, luis, incident, "investigate")
    _answer(luis, incident, success="yes", explained="none", special=False)
    _do(comments.add, luis, incident, "Calling the user on the number from the directory.")
    _answer(luis, incident, said="it was not me")
    at = datetime.now(UTC) - timedelta(minutes=50)
    seen = FindingDraft(
        at, "Signed in to the mail of the account after a push was approved", source="sign-in log", confidence="high",
        technique="T1621", evidence="export of the sign-in log, line 88",
    )  # fmt: skip
    _do(findings.add, luis, incident, seen)


def _to_be_approved(stage: Stage, incident: UUID | None) -> None:
    """One incident whose playbook asks before it blocks an address."""
    if incident is not None:
        _answer(stage.actor("Luis Ortega"), incident, success="no", explained="none", accounts=41)


def _answer(actor: Actor, incident: UUID, **answers: Any) -> None:
    """Complete the task whose form asks for these; waits until the playbook has come that far."""

    def asked() -> list[Task]:
        return [
            t
            for t in _open_tasks(incident)
            if answers.keys() <= ((t.form or {}).get("properties") or {}).keys()
        ]

    if _until(lambda: bool(asked()), PATIENCE):
        _do(tasks.complete, actor, asked()[0].id, answers)


def _open_tasks(incident: UUID) -> list[Task]:
    with reading() as session:
        return list(
            session.scalars(
                select(Task)
                .where(Task.incident_id == incident, Task.status == "open")
                .order_by(Task.created_at)
            )
        )


def _do(change: Callable[..., Any], *given: Any, **named: Any) -> None:
    """One change in a unit of work of its own; what cannot be done is logged and left out."""
    try:
        with unit_of_work() as uow:
            change(uow, *given, **named)
    except TocsinError as error:
        log.warning("the demo could not do a step", extra={"reason": error.message})


# ---------------------------------------------------------------------------------------------- where to look


def _print_welcome(given: Settings, stage: Stage) -> None:
    click.echo(
        f"\n  Tocsin's demo is on {given.base_url}   sign in as {TEAM[0][0]}   password {stage.password}"
    )
    click.echo("  Tools are sending alerts now; nothing leaves this machine. Ctrl-C stops it.\n")


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
        click.echo(f"  {incident.stage:16}{given.base_url}/incidents/{incident.key}   {incident.title[:60]}")
    if run:
        click.echo(f"  a playbook runs {given.base_url}/runs/{run}")
    if approval:
        click.echo(f"  approve or not  {given.base_url}/approvals/{approval}")
    for page in _open_pages()[:1]:
        click.echo(f"  a page waits    {given.base_url}/pages/{page}")
    closed = next((i for i in incidents if i.closed_at and i.root_cause), None)
    if closed:
        click.echo(f"  a report        {given.base_url}/reports/{closed.key}")
    click.echo("")


def _open_pages(incident: UUID | None = None) -> list[UUID]:
    with reading() as session:
        query = select(Page.id).where(Page.closed_at.is_(None), Page.acknowledged_at.is_(None))
        if incident is not None:
            query = query.where(Page.subject_kind == "incident", Page.subject_id == str(incident))
        return list(session.scalars(query.order_by(Page.created_at.desc())))


def _incident(category: str, source: str | None = None) -> UUID | None:
    _until(lambda: _incident_or_none(category, source) is not None, PATIENCE)
    return _incident_or_none(category, source)


def _incident_or_none(category: str, source: str | None = None) -> UUID | None:
    query = select(Incident.id).where(Incident.category == category)
    if source is not None:
        query = query.where(Incident.source == source)
    with reading() as session:
        return session.scalar(query.order_by(Incident.created_at.desc()).limit(1))


def _open_incidents(category: str) -> list[UUID]:
    with reading() as session:
        return list(
            session.scalars(
                select(Incident.id).where(Incident.category == category, Incident.closed_at.is_(None))
            )
        )


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
