"""The demo's large case: malware on a file server, from the alert to the signed report, with something in each section."""

import io
from datetime import timedelta
from uuid import UUID

from cli.demo_clock import Past
from cli.demo_stage import newest
from core import access, blobs, clock
from core.actors import Actor
from core.db import UnitOfWork, reading
from core.types import Ref
from incidents import (
    attachments,
    closing,
    comments,
    disclosing,
    findings,
    follow_ups,
    lifecycle,
    milestones,
    observables,
    parts,
    reporting,
)
from incidents import reviewing, verdicts
from incidents.attachments import Upload
from incidents.closing import Closing
from incidents.disclosing import DisclosureDraft, Kind
from incidents.findings import FindingDraft
from incidents.follow_ups import FollowUpDraft
from incidents.models import Incident, Reporter
from incidents.reporting import ReportDraft
from incidents.reviewing import PointDraft
from notify import messages

_ADDRESS = "203.0.113.66"
_SAID = {
    "stopped": "no", "ran": "yes", "kind": "server", "encryption": False, "hands_on": "no", "accounts": [], "others": [],
    "how": "download", "proof": "Proxy log: fetched from a link in the chat", "more": "no",
    "done": "rebuilt", "passwords": True, "changed": "yes", "answer": "no",
    "because": "The share holds price lists only; Luis has looked through it. No personal data was reached.",
}  # fmt: skip
_TRIAGE_PACKAGE = b"""host: files-02
collected: by the endpoint agent, memory and autostart entries
/srv/share/invoice-2291.exe  started by: explorer of p.sanz, one child process
network: 203.0.113.66:443, 3 connections
"""


def malware(past: Past) -> None:
    """Play it: a day and a half ago until now less six hours."""
    began = past.now
    past.sends(0, "wazuh", "malware-virustotal.json")
    incident = newest("malware")
    if incident is None:
        return
    ana, luis, marta = (past.actor(name) for name in ("Ana Ruiz", "Luis Ortega", "Marta Gil"))
    past.answers(3.4, "Ana Ruiz", incident)
    past.after(2, lifecycle.assign, ana, incident, ana.user_id)
    past.after(0.5, parts.give, ana, incident, "scribe", luis.user_id)
    past.after(0.3, parts.give, ana, incident, "communications", marta.user_id)
    title = {"title": "A program on the share of files-02 ran: invoice-2291.exe"}
    past.after(0.7, lifecycle.change, ana, incident, title)
    past.after(0.3, lifecycle.move, ana, incident, "investigate")
    _reported(past, incident)
    past.works(
        "Ana Ruiz", incident, _SAID,
        {"Keep files-02": _declared, "Collect ": _collected, "Does somebody": _found, "How did it": _judged, "Reinstall": _cleaned},
    )  # fmt: skip
    _told(past, incident)
    _reviewed(past, incident)
    for kind, minutes, reason in (
        ("first_malicious", -121, "The time at which the file came onto the share"),
        ("aware", 9, "Ana saw in the console that it had run"),
    ):
        at = began + timedelta(minutes=minutes)
        past.after(4, milestones.correct, luis, incident, kind, at, precision="minute", reason=reason)
    past.after(6, closing.close, ana, incident, Closing(
        "true_positive", "Somebody opened a file from the share, and it ran on files-02. The server was cut off within the hour and rebuilt; nothing left it.",
        "The share let everybody write programs into it.",
    ))  # fmt: skip
    _afterwards(past, incident)


def _reported(past: Past, incident: UUID) -> None:
    """Somebody from the staff reports the same by the form, is answered, and writes again."""
    kept: list[UUID] = []

    def receive(uow: UnitOfWork) -> None:
        draft = ReportDraft(
            "invoice-2291 does nothing when I open it",
            "An hour ago I opened invoice-2291 from the share. A window came up and closed by itself.",
            name="Pilar Sanz",
        )
        kept.append(reporting.receive(uow, draft, into=uow.get(Incident, incident)).id)

    past.after(2.5, receive)
    if not kept:
        return
    answer = "Thank you, that helps. Please leave your computer on, and do not open the file again. Did a colleague open it too?"
    past.after(4, reporting.answer, past.actor("Marta Gil"), incident, kept[0], answer, asks=True)
    past.after(12, _writes_again, kept[0])


def _writes_again(uow: UnitOfWork, reporter: UUID) -> None:
    said = uow.get(Reporter, reporter)
    if said is not None:
        reporting.add(uow, said, "Nobody else, I asked in the team.", via="page")


def _declared(past: Past, incident: UUID) -> None:
    ana = past.actor("Ana Ruiz")
    past.after(
        1, lifecycle.confirm, ana, incident, "declared", because="It ran on a server that everybody uses"
    )
    past.after(0.5, lifecycle.move, ana, incident, "contain")
    past.after(2, _warned, past.actor("Marta Gil"), incident)


def _warned(uow: UnitOfWork, actor: Actor, incident: UUID) -> None:
    messages.message(
        uow, actor, channel="email", to="warehouse@demo.example", title="The share of files-02 cannot be reached until further notice",
        text="Use the old price list for orders of today. We write again at the full hour.", subject=Ref("incident", str(incident)),
    )  # fmt: skip


def _collected(past: Past, incident: UUID) -> None:
    luis = past.actor("Luis Ortega")
    past.after(1, lifecycle.move, luis, incident, "eradicate")
    upload = Upload("files-02-triage.txt", blobs.measure(io.BytesIO(_TRIAGE_PACKAGE), 1_000_000))
    past.after(14, attachments.add, luis, incident, upload, note="collected by the endpoint agent")
    past.after(
        1,
        comments.add,
        luis,
        incident,
        "Three connections to 203.0.113.66, the last one a minute before the server was cut off.",
    )


def _found(past: Past, incident: UUID) -> None:
    """What the attacker did, from the package, which somebody has read."""
    luis, at = past.actor("Luis Ortega"), past.now
    with reading() as session:
        file = next(iter(attachments.of_incident(session, luis, incident)), None)
        opened = session.get_one(Incident, incident).opened_at
    if file is not None:
        with clock.frozen(at):
            access.note(luis, "downloaded", file.ref, file.name, within=incident)
    shown = file.id if file is not None else None
    for before, says, technique, of in (
        (121, "Put invoice-2291.exe on the share, from an account of the sales team", "T1080", ["files-02"]),
        (74, "Was opened by p.sanz and ran on files-02", "T1204.002", ["files-02", "p.sanz"]),
        (71, "Spoke with its server three times, 40 kB in all", "T1071.001", ["files-02", _ADDRESS]),
    ):  # fmt: skip
        draft = FindingDraft(
            opened - timedelta(minutes=before),
            says,
            "minute",
            "triage package",
            "high",
            technique,
            of,
            "autostart and network lists",
            shown,
        )
        past.after(2, findings.add, luis, incident, draft)
    past.after(0.2, observables.attach, luis, incident, "ipv4-addr", _ADDRESS, "destination")


def _judged(past: Past, incident: UUID) -> None:
    """What is thought of the values, once they have been looked at."""
    luis = past.actor("Luis Ortega")
    with reading() as session:
        values = observables.of_incident(session, luis, incident)
    for one in values:
        if one.value == _ADDRESS:
            past.after(
                2,
                verdicts.judge,
                luis,
                incident,
                one.id,
                "malicious",
                because="The program spoke with it, and nothing else here does",
            )
        elif one.type == "file-hash":
            past.after(
                1, verdicts.judge, luis, incident, one.id, "malicious", because="58 of 72 engines, and it ran"
            )


def _cleaned(past: Past, incident: UUID) -> None:
    ana = past.actor("Ana Ruiz")
    past.after(2, lifecycle.move, ana, incident, "recover")
    past.after(1, lifecycle.wait_on, ana, incident, "vendor")
    past.after(
        47,
        comments.add,
        ana,
        incident,
        "The support of the backup has confirmed that last night's copy is whole.",
    )
    past.after(0.5, lifecycle.wait_on, ana, incident, None)


def _told(past: Past, incident: UUID) -> None:
    """Who outside was told of it, who need not be, and with whom the address was shared."""
    marta, hour = past.actor("Marta Gil"), timedelta(hours=1)
    with reading() as session:
        address = next(
            (one.id for one in observables.of_incident(session, marta, incident) if one.value == _ADDRESS),
            None,
        )
    for draft in (
        DisclosureDraft("Cyber insurer", "notice of an incident", because="Clause 7 of the policy", due_at=past.now + 20 * hour,
                        sent_at=past.now - 3 * hour, receipt_at=past.now - 2 * hour, reference="CL-20981"),
        DisclosureDraft("National CSIRT", "early warning (NIS2)", applies=False, because="We are no essential or important entity; legal has looked"),
        DisclosureDraft("CSIRT of our sector", kind=Kind.indicators, tlp="green", observable_id=address, sent_at=past.now - hour,
                        receipt_at=past.now - hour / 2, reference="IOC-774"),
    ):  # fmt: skip
        past.after(3, disclosing.add, marta, incident, draft)


def _reviewed(past: Past, incident: UUID) -> None:
    """The look back, in all its sections."""
    ana, luis = past.actor("Ana Ruiz"), past.actor("Luis Ortega")
    for number, point in enumerate((
        PointDraft("impact", "The share could not be reached", "services", "known", result="2 hours, 40 people", how="log of the share"),
        PointDraft("impact", "Nothing left the server but 40 kB to one address", "data", "known", result="no personal data", how="flow log of the firewall"),
        PointDraft("impact", "Work of the team, and a day of the vendor", "money", "estimated", result="3,200 EUR", how="hours × rate, and the vendor's offer"),
        PointDraft("scope", "files-02", "hosts", "affected", how="triage package", who="Luis Ortega"),
        PointDraft("scope", "The other 6 servers", "hosts", "not_affected", how="hunted for the hash and the address, 30 days back", who="Luis Ortega"),
        PointDraft("scope", "p.sanz", "accounts", "not_affected", how="no sign-in from elsewhere; password changed", who="Ana Ruiz"),
        PointDraft("cause", "Anybody could put a program on the share", how="rights of the share"),
        PointDraft("cause", "The rights were set for a project of 2021, and nobody owns them", how="ticket of the project"),
        PointDraft("gap", "The scan of the share ran once a day, two hours before"),
        PointDraft("decision", "Cut the server off while people work on it?", options="cut it off now\nwait for the evening", result="cut it off now",
                   how="It speaks with an address that nobody knows", who="Ana Ruiz"),
        PointDraft("side", "The label printer of the warehouse stood still for an hour", result="edr.isolate_host", how="the warehouse phoned"),
        PointDraft("rule", "A program is written to a share", "", "written", result="Wazuh 100210", how="replayed with this file"),
        PointDraft("well", "The report from sales came before the second alert"),
        PointDraft("badly", "Nobody could say at once who owns the share"),
        PointDraft("luck", "The copy of last night was only an hour old"),
        PointDraft("question", "Who put the link into the chat?", how="Sales, when the account's owner is back"),
        PointDraft("confidence", "The flow log is whole, the chat is not", "", "medium"),
    )):  # fmt: skip
        past.after(4 if number % 3 else 9, reviewing.add, luis if number % 2 else ana, incident, point)


def _afterwards(past: Past, incident: UUID) -> None:
    ana, luis = past.actor("Ana Ruiz"), past.actor("Luis Ortega")
    for days, title, owner in (
        (7, "Nobody may write programs to a share", ana),
        (21, "Each share has an owner", luis),
    ):
        past.after(
            2,
            follow_ups.add,
            ana,
            incident,
            FollowUpDraft(title, owner.user_id, past.now + timedelta(days=days)),
        )
