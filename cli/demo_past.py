"""What had happened in the demo before it starts, played by a clock of the demo's own: an outage, malware, a sign-in.

Everything goes through the doors that people and tools use, one after the other, and its time is the time it has there.
"""

from datetime import timedelta
from typing import Any
from uuid import UUID

from cli import demo_case, demo_stage, serving
from cli.demo_clock import Past
from cli.demo_stage import Stage, do, newest, open_ones, open_tasks
from connectors import rails
from core import clock, journal
from core.actors import SYSTEM, Actor
from core.db import unit_of_work
from core.journal import Fact
from core.settings import Settings
from incidents import closing, comments, findings, follow_ups, lifecycle, reviewing, targets, tasks
from incidents.findings import FindingDraft
from incidents.follow_ups import FollowUpDraft
from incidents.reviewing import PointDraft

_HOUR = 3600
_TARGETS = {
    (severity, span): int(hours * _HOUR)
    for severity, lengths in (("critical", (0.25, 2, 24, 120)), ("high", (0.5, 8, 48, 240)))
    for span, hours in zip(targets.SPANS, lengths, strict=True)
}
"""How quickly the team means to be, in seconds."""
PLAYED = journal.declare("demo.played", "played what was before by a clock of the demo's own")


def played(given: Settings) -> Stage:
    """A fresh installation with its team and its past; the clock is the true one again when this returns."""
    present = clock.now()
    with clock.frozen(present - timedelta(days=8)):
        serving.set_up(given)
        stage = demo_stage.people()
        do(targets.put, stage.actor("Marta Gil"), _TARGETS)
        do(
            rails.protect,
            stage.actor("Marta Gil"),
            kind="network",
            value="192.0.2.0/24",
            reason="Our own servers",
            own=True,
        )
    past = Past(stage, present - timedelta(hours=34))
    demo_case.malware(past)
    past.now = present - timedelta(hours=3)
    _outage(past)
    past.now = present - timedelta(minutes=24)
    _sign_in(past)
    with unit_of_work() as uow:
        told = {"from": (present - timedelta(days=8)).isoformat(), "to": past.now.isoformat()}
        journal.record(uow, SYSTEM, Fact(PLAYED, (), told))
    return stage


def _outage(past: Past) -> None:
    """The web shop does not open, is repaired, and the case is closed, within an hour."""
    past.sends(0, "alertmanager", "service-down.json")
    incident = newest("availability")
    if incident is None:
        return
    ana, marta = past.actor("Ana Ruiz"), past.actor("Marta Gil")
    past.after(0.8, lifecycle.change, ana, incident, {"title": "The web shop does not open"})
    past.after(1.2, lifecycle.assign, ana, incident, ana.user_id)
    said = "Confirmed from my phone: the shop does not open. Last change: the certificate was renewed an hour ago."
    past.after(1.5, comments.add, ana, incident, said)
    past.answers(1.1, "Ana Ruiz", incident)
    answers = {"service": "Web shop", "works": "it does not work", "critical": True}
    for task in open_tasks(incident):
        if answers.keys() <= ((task.form or {}).get("properties") or {}).keys():
            past.after(1.5, tasks.complete, ana, task.id, answers)
    past.answers(1.4, "Ana Ruiz", incident)
    past.after(1, lifecycle.confirm, ana, incident, "declared", because="Customers could not buy")
    past.after(2, lifecycle.move, ana, incident, "investigate")
    for task in open_tasks(incident):
        if task.form is None:
            past.after(2, tasks.complete, marta, task.id)
    past.after(
        5,
        comments.add,
        ana,
        incident,
        "The old certificate is still served: the reload hook failed. Reloading.",
    )
    past.after(1, lifecycle.move, ana, incident, "contain")
    past.sends(2, "alertmanager", "service-up.json")
    past.after(1, lifecycle.move, ana, incident, "recover")
    past.answers(0.5, "Ana Ruiz", incident)
    past.after(4, lifecycle.move, ana, incident, "review")
    for _ in range(8):  # each answer brings what the playbook asks next
        for task in open_tasks(incident):
            past.after(1, tasks.skip, ana, task.id, "Done by phone before the step came up.")
    past.after(3, closing.close, ana, incident, closing.Closing(
        disposition="operational_error",
        root_cause="The renewed certificate was not loaded: the reload hook failed.",
        summary="The web shop was down for the time shown. Reloading brought it back; the hook now alerts.",
    ))  # fmt: skip
    minutes = 12.0
    for point in (
        PointDraft("impact", "Nobody could buy", "services", "known", result="22 minutes", how="the shop's own log"),
        PointDraft("impact", "About 30 orders came later or not at all", "money", "estimated", result="1,900 EUR", how="orders of the same hour a week ago"),
        PointDraft("gap", "Only the certificate's date was watched, not which one is served"),
        PointDraft("well", "The first page was answered within five minutes"),
        PointDraft("badly", "The reload hook failed without telling anybody"),
        PointDraft("confidence", "The log of the hook shows it", state="high"),
    ):  # fmt: skip
        past.after(minutes, reviewing.add, ana, incident, point)
        minutes = 1.5
    due = past.now + timedelta(days=14)
    past.after(
        2,
        follow_ups.add,
        marta,
        incident,
        FollowUpDraft("Watch the certificate that is served", ana.user_id, due),
    )
    same = closing.Closing(disposition="duplicate", summary="The same outage, seen from the other server.")
    for other in open_ones("availability"):
        past.after(1, closing.close, ana, other, same)


def _sign_in(past: Past) -> None:
    """A user has been phoned, it was not them, and the playbook asks whether their account may be contained."""
    past.sends(0, "wazuh", "ssh-success-after-failures.json")
    incident = newest("login")
    if incident is None:
        return
    luis = past.actor("Luis Ortega")
    past.answers(1.7, "Luis Ortega", incident)
    past.after(0.6, lifecycle.assign, luis, incident, luis.user_id)
    past.after(1, lifecycle.move, luis, incident, "investigate")
    _answered(past, 4, luis, incident, success="yes", explained="none", special=False)
    past.answers(1.9, "Luis Ortega", incident)
    past.after(0.5, comments.add, luis, incident, "Calling the user on the number from the directory.")
    _answered(past, 4, luis, incident, said="it was not me")
    past.answers(1.2, "Luis Ortega", incident)
    seen = FindingDraft(
        past.now - timedelta(minutes=50), "Signed in to the mail of the account after a push was approved", source="sign-in log",
        confidence="high", technique="T1621", evidence="export of the sign-in log, line 88",
    )  # fmt: skip
    past.after(1, findings.add, luis, incident, seen)


def _answered(past: Past, minutes: float, who: Actor, incident: UUID, **answers: Any) -> None:
    for task in open_tasks(incident):
        if answers.keys() <= ((task.form or {}).get("properties") or {}).keys():
            past.after(minutes, tasks.complete, who, task.id, answers)
            return
