"""Each section of a report says what the record holds, and nothing is said that it does not hold."""

import io
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import incident_bench as bench
import pytest
from pypdf import PdfReader

from cli import assemble
from core import access, blobs, clock, sealing
from core.actors import SYSTEM, Actor
from core.auth import users
from core.db import reading, unit_of_work
from core.errors import NotFound
from incidents import attachments, closing, comments, disclosing, findings, follow_ups, lifecycle, observables, reviewing, verdicts
from incidents.attachments import Upload
from incidents.closing import Closing
from incidents.disclosing import DisclosureDraft
from incidents.findings import FindingDraft
from incidents.follow_ups import FollowUpDraft
from incidents.lifecycle import IncidentDraft
from incidents.reviewing import SECTIONS, PointDraft
from reports import contract, incident, lanes
from reports.model import IncidentReport, Line, Point

assemble.load()

LONG = "https://files.example/" + "x" * 180


@pytest.fixture(scope="module")
def facts() -> list[tuple[str, Callable[[IncidentReport], Any], Any]]:
    """Of each section: its name, what to look at, and what stands there for the incident of `lived`."""
    return [
        ("head", lambda r: (r.head.confirmation, r.head.disposition, r.head.root_cause), ("declared", "true_positive", "A macro")),
        ("impact", lambda r: [(p.area, p.state, p.result) for p in r.points("impact")], [("money", "estimated", "9,000 EUR")]),
        ("key times", lambda r: {t.kind for t in r.times if t.at} >= {"first_malicious", "declared", "closed"}, True),
        ("key times not known", lambda r: [t.kind for t in r.times if t.at is None], ["compromise", "acknowledged", "aware", "contained", "verified", "eradicated", "recovered"]),
        ("spans", lambda r: [s.name for s in r.spans if s.seconds is None], ["detect", "acknowledge", "contain", "recover", "dwell"]),
        ("first hand", lambda r: [t.set_by for t in r.times if t.kind == "looked"], ["Rita Ruiz"]),
        ("paragraph", lambda r: [r.paragraph[n][:24] for n in (1, 3, 4)], ["It is about web01; the f", "What it meant: money: So", "It was closed by Rita Ru"]),
        ("reviewers", lambda r: r.reviewers, ("Rita Ruiz",)),
        ("attack", lambda r: [(f.number, f.technique) for f in r.findings], [("A1", "T1204.002"), ("A2", None)]),
        ("attack defanged", lambda r: "203.0.113[.]9" in r.findings[0].entities, True),
        ("both lanes", lambda r: {bool(row.attacker) for row in lanes.beside(r)[0]}, {True, False}),
        ("scope", lambda r: [(p.state, p.how, p.who) for p in r.points("scope")], [("not_affected", "hunted", "Raul Gil")]),
        ("decisions", lambda r: ("Shut the mail gateway?", "No", "Rita Ruiz") in [(d.question, d.decision, d.by) for d in r.decisions], True),
        ("evidence", lambda r: [(e.number, e.name, len(e.custody)) for e in r.evidence], [("E1", "invoice.docm", 1)]),
        ("indicators", lambda r: "203.0.113[.]7" in [o.shown for o in r.observables], True),
        ("verdicts", lambda r: [(o.verdict, o.verdict_by, o.verdict_says, o.proposed) for o in r.observables if o.shown == "203.0.113[.]7"],
         [("malicious", "Rita Ruiz", "C2", False)]),
        ("shared", lambda r: [(s.to, s.what, s.tlp, s.reference) for s in r.shared], [("CSIRT-ES", "203.0.113[.]7", "green", "C-1")]),
        ("shared with", lambda r: [o.shared for o in r.observables if o.shared], [("CSIRT-ES (TLP:GREEN)",)]),
        ("rules", lambda r: [p.state for p in r.points("rule")], ["changed"]),
        ("obligations", lambda r: [(o.to, o.state, o.reference, o.because, o.by) for o in r.obligations],
         [("Data protection authority", "received", "AEPD-7", "Art. 33", "Rita Ruiz"), ("National CSIRT", "does not apply", "", "no essential service", "Rita Ruiz"), ("Insurer", "overdue", "", "", "Rita Ruiz")]),
        ("duty open", lambda r: [end for end in r.open_ends if "Insurer" in end], ["Overdue: to be told: Insurer: notice of claim"]),
        ("duty decided", lambda r: [(d.decision, d.by) for d in r.decisions if "National CSIRT" in d.question], [("does not apply", "Rita Ruiz")]),
        ("options", lambda r: [(d.options, d.informed) for d in r.decisions if d.question.startswith("Shut")], [(("shut it", "leave it"), "pay day")]),
        ("options of the record", lambda r: [d.options[:2] for d in r.decisions if d.question.startswith("Is this")], [("unconfirmed", "suspected")]),
        ("evidence of a finding", lambda r: [f.evidence for f in r.findings if "invoice" in f.says], ["E1 · EDR, 04:12"]),
        ("luck", lambda r: [len(r.points(name)) for name in ("well", "badly", "luck")], [1, 1, 1]),
        ("actions", lambda r: [(a.title, a.owner, a.overdue) for a in r.follow_ups], [("Block macros", "Rita Ruiz", True)]),
        ("earlier", lambda r: [a.title for a in r.earlier], ["Left open"]),
        ("open ends", lambda r: [end for end in r.open_ends if end.startswith("Question")], ["Question: Who else got it?"]),
        ("proof", lambda r: (r.proof.entries == len(r.timeline), r.proof.sealed == r.proof.entries, r.version), (True, True, None)),
    ]  # fmt: skip


def lived() -> tuple[str, Actor]:
    """An incident with something in every section, closed; its key, and who worked on it."""
    with unit_of_work() as uow:
        rita = users.actor_of(
            users.create(uow, SYSTEM, email="rita@example.org", name="Rita Ruiz", roles=["responder"]),
            uow.now,
        )
    with unit_of_work() as uow:
        users.create(uow, SYSTEM, email="raul@example.org", name="Raul Gil", roles=["responder"])
    with unit_of_work() as uow:
        before = lifecycle.open_by_hand(uow, rita, IncidentDraft("Before", category="login"))
        follow_ups.add(uow, rita, before.id, FollowUpDraft("Left open"))
    (taken,) = bench.take(bench.draft())
    of = bench.incident(taken.incident_id)
    with unit_of_work() as uow:
        hour = timedelta(hours=1)
        findings.from_alert(uow, rita, taken.alert_id)
        draft = FindingDraft(
            uow.now - 5 * hour,
            "Opened invoice.docm",
            "hour",
            "EDR",
            "high",
            "T1204.002",
            ["203.0.113.9", LONG],
        )
        findings.add(uow, rita, of.id, draft)
        for name in SECTIONS:
            more = {
                "impact": {
                    "area": "money",
                    "state": "estimated",
                    "result": "9,000 EUR",
                    "how": "hours × rate",
                },
                "scope": {"area": "hosts", "state": "not_affected", "how": "hunted", "who": "Raul Gil"},
                "decision": {"result": "No", "how": "pay day", "options": "shut it\nleave it"},
                "rule": {"state": "changed", "result": "Sigma", "how": "replayed"},
                "side": {"result": "okta.suspend_user"},
            }.get(name, {})
            says = {
                "decision": "Shut the mail gateway?",
                "question": "Who else got it?",
                "badly": "Raul Gil was not told",
            }
            reviewing.add(
                uow, rita, of.id, PointDraft(name, says.get(name, f"Something about {name}"), **more)
            )
        follow_ups.add(
            uow,
            rita,
            of.id,
            FollowUpDraft("Block macros", rita.user_id, uow.now - hour, "https://t.example/1"),
        )
        comments.add(uow, rita, of.id, "Called Raul Gil")
        upload = Upload("invoice.docm", blobs.measure(io.BytesIO(b"\xd0\xcf\x11\xe0" + b"x" * 90), 10_000))
        file = attachments.add(uow, rita, of.id, upload)
        uow.flush()
        opened = next(row for row in findings.every(uow, rita, of.id) if "invoice" in row.says)
        shown = replace(draft, evidence="EDR, 04:12", attachment_id=file.id)
        findings.correct(uow, rita, opened.id, shown)
        value = next(one for one in observables.of_incident(uow, rita, of.id) if one.value == "203.0.113.7")
        verdicts.judge(uow, rita, of.id, value.id, "suspicious")
        verdicts.judge(uow, rita, of.id, value.id, "malicious", because="C2")
        now = uow.now
        for told in (
            DisclosureDraft("Data protection authority", "first notice", because="Art. 33", due_at=now, sent_at=now - hour,
                            receipt_at=now, reference="AEPD-7"),
            DisclosureDraft("National CSIRT", "NIS2 early warning", applies=False, because="no essential service"),
            DisclosureDraft("Insurer", "notice of claim", due_at=now - hour),
            DisclosureDraft("CSIRT-ES", kind="indicators", tlp="green", observable_id=value.id, sent_at=now, reference="C-1"),
        ):  # fmt: skip
            disclosing.add(uow, rita, of.id, told)
        lifecycle.confirm(uow, rita, of.id, "declared", because="a password was typed")
    access.note(rita, "downloaded", file.ref, file.name, within=of.id)
    with unit_of_work() as uow:
        closing.close(uow, rita, of.id, Closing("true_positive", "A mail with a macro", "A macro"))
    sealing.seal_everything()
    sealing.sign_checkpoint(at_most_every=timedelta(0))
    return of.key, rita


def told(key: str, actor: Actor, **more: bool) -> IncidentReport:
    """Its report now."""
    with reading() as session:
        return incident.build(session, actor, key, now=clock.now(), **more)


def pages(pdf: bytes) -> list[str]:
    """The words of each page, without the breaks of lines."""
    return [" ".join(page.extract_text().split()) for page in PdfReader(io.BytesIO(pdf)).pages]


@pytest.mark.usefixtures("database")
def test_each_section_says_what_the_record_holds(
    facts: list[tuple[str, Callable[[IncidentReport], Any], Any]],
) -> None:
    key, rita = lived()
    report = told(key, rita)
    wrong = {}
    for name, look, expected in facts:
        wanted = (True, True, report.proof.entries) if name == "proof" else expected
        if (found := look(report)) != wanted:
            wrong[name] = found
    assert not wrong
    full = " ".join(pages(contract.get("pdf").written(report, "full")))
    for words in (
        "9,000 EUR", "A1 Opened invoice.docm", "T1204.002", "not affected", "Shut the mail gateway?", "E1 invoice.docm", "Raul Gil",
        "Block macros", "overdue", "Left open", "Who else got it?", "How to verify it", "nobody outside keeps a checkpoint", "Rita Ruiz",
        "AEPD-7", "no essential service", "CSIRT-ES", "TLP:GREEN", "shut it · leave it", "malicious", "E1 · EDR, 04:12",
        "hxxps://t[.]example/1", "not known", "Something about luck", f"Version {report.version}", "203.0.113[.]7",
    ):  # fmt: skip
        assert words in full, words
    assert LONG not in full.replace(" ", "")
    page = contract.get("html").write(report).decode()
    for words in (
        "9,000 EUR",
        "T1204.002",
        "Shut the mail gateway?",
        "invoice.docm",
        "Block macros",
        "Left open",
        "203.0.113[.]7",
        "How to verify it",
    ):
        assert words in page, words
    assert not re.search(r"<(?:a|img|link|script)\b|https?://", page), "nothing can be clicked or fetched"

    outside = told(key, rita, external=True)
    for name, of in [("pdf", of) for of in contract.PRINTS] + [("json", ""), ("html", ""), ("stix", "")]:
        content = contract.get(name).written(outside, of)
        said = " ".join(pages(content)) if name == "pdf" else content.decode()
        for person in ("Rita", "Raul", "rita@example.org"):
            assert person not in said, (name, of, person)
    assert outside.follow_ups[0].owner == "Responder 1"
    assert contract.get("pdf").filename(outside, "executive") == f"{key}-executive-external.pdf"


@pytest.mark.usefixtures("sqlite_database")
def test_an_empty_incident_says_not_known_rather_than_nothing() -> None:
    of = bench.opened()
    report = told(of.key, bench.ANN)
    assert not [span for span in report.spans if span.seconds is not None]
    full = pages(contract.get("pdf").written(report, "full"))
    for words in (
        "What the attacker did is not known", "nobody has written it down", "No decision is written down", "Nobody was paged",
        "No action for afterwards is written down", "No product was called",
    ):  # fmt: skip
        assert words in " ".join(full), words
    assert not re.search(r"\b0 (min|s)\b", " ".join(full)), "what is not known is not zero"
    for of_print in contract.PRINTS:
        assert all("TLP:AMBER" in page for page in pages(contract.get("pdf").written(report, of_print)))
    with pytest.raises(NotFound, match="executive, full, annex"):
        contract.get("pdf").written(report, "poster")
    with pytest.raises(NotFound, match="only PDF"):
        contract.get("json").written(report, "annex")


@pytest.mark.usefixtures("sqlite_database")
def test_a_big_incident_keeps_its_one_page_and_its_whole_annex() -> None:
    of = bench.opened()
    report = told(of.key, bench.ANN)
    at: datetime = report.made_at
    long = "A word and " + "W" * 200
    review = tuple(
        replace(point, says=long)
        for point in (_point(section, at) for section in SECTIONS for _ in range(12))
    )  # fmt: skip
    big = replace(
        report,
        head=replace(report.head, title=long * 2, summary=long * 9, root_cause=long * 9),
        timeline=tuple(
            Line(at - timedelta(minutes=500 - n), "Ann" if n % 3 else "Tocsin", "person", n % 3 == 0, "task.created", f"entry {n} {long}")
            for n in range(500)
        ),
        review=review, paragraph=(long * 4,) * 5, open_ends=(long,) * 40,
    )  # fmt: skip
    (executive,) = pages(contract.get("pdf").written(big, "executive"))
    assert "and 36 more" in executive
    full, annex = (pages(contract.get("pdf").written(big, name)) for name in ("full", "annex"))
    assert 8 <= len(full) <= 40
    assert "entries of our own are in the technical annex" in " ".join(
        full
    ) or "more entries of our own" in " ".join(full)
    assert "entry 499" in " ".join(annex)
    assert "entry 250" in " ".join(annex)
    assert all("TLP:AMBER" in page for page in [*full, *annex])
    rows, left_out = lanes.beside(big)
    assert len(rows) + left_out == 500


def _point(section: str, at: datetime) -> Point:
    chosen = SECTIONS[section]
    return Point(
        section,
        at,
        next(iter(chosen.areas), ""),
        next(iter(chosen.states), ""),
        str(uuid4()),
        "9 h",
        "how",
        "who",
        "Ann",
    )
