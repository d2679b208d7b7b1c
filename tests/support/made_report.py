"""A report with something in every part, made without a database."""

from datetime import UTC, datetime, timedelta

from reports.model import Action, Alert, Comment, Countermeasure, Decision, Evidence, Head, IncidentReport, KeyTime, Line, Observable, Run, Task
from reports.told_model import Attempt, Page, PageMoment
from reports.proof_model import Proof

START = datetime(2026, 11, 22, 3, 12, tzinfo=UTC)
HOSTILE = '<script>alert(1)</script> #import "x" \\u{0} $x$ @ref *_` العربية \U0001f514 ' + "A" * 300


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def report(title: str = "Malware on HOST-7") -> IncidentReport:
    return IncidentReport(
        made_at=at(90),
        made_by="Ana Ruiz",
        head=Head(
            id="01a202c3-e2ce-78b5-a32b-576b170ef272",
            key="INC-2026-000042",
            title=title,
            kind="incident",
            severity="critical",
            severity_reason=None,
            stage="contain",
            confirmation="declared",
            confirmed_by="Ana Ruiz",
            confirmed_at=at(9),
            confirmed_because="encryption seen",
            category="malware",
            owner="Ana Ruiz",
            scribe="Luis Prat",
            communications=None,
            source="wazuh",
            trust="normal",
            tlp="amber",
            pap="amber",
            tags=("edr",),
            techniques=("T1486", "T1059.001"),
            late=False,
            exercise=False,
            opened_at=START,
            closed_at=None,
            closed_by=None,
            disposition=None,
            root_cause=None,
            summary=None,
            opened_because="opened by rule High and above",
            url="https://tocsin.test/incidents/INC-2026-000042",
        ),
        paragraph=("Wazuh reported malware on HOST-7.", "Ana Ruiz acknowledged 14 s later."),
        times=(
            KeyTime("opened", "Opened", START, 0, "system", "Tocsin"),
            KeyTime("contained", "Contained", at(20), 1200, "person", "Ana Ruiz"),
            KeyTime("recovered", "Recovered", None, None, "", None),
        ),
        timeline=tuple(
            Line(at(n), "Tocsin" if n % 2 else "Ana Ruiz", "system" if n % 2 else "person", bool(n % 2), "x.y", title)
            for n in range(30)
        ),
        actions=(
            Action(at(3), "identity.disable_user", "m.ortiz", "disruptive", "succeeded", "Malware on a host",
                   ("Ana Ruiz",), at(4), "200", True),
        ),
        countermeasures=(Countermeasure("okta.suspend_user", "m.ortiz", "verified", at(4), None, at(1500)),),
        decisions=(Decision(at(3), "Contain the account?", "approved", "Ana Ruiz", "typed the password"),),
        alerts=(Alert(title, "wazuh", "critical", "firing", 12, START, at(5), "severity critical"),),
        observables=(
            Observable("ipv4-addr", "203.0.113.9", "203[.]0[.]113[.]9", ("source",), START, at(5), 2),
            Observable("ipv6-addr", "2001:db8::1", "2001:db8::1", ("source",), START, at(5), 0),
            Observable("file-hash", "a" * 64, "a" * 64, ("artifact",), START, START, 0),
            Observable("url", "http://evil.example/x?y", "hxxp://evil[.]example/x?y", ("artifact",), START, START, 0),
            Observable("domain", "evil.example", "evil[.]example", ("artifact",), START, START, 0),
            Observable("email", "a@evil.example", "a@evil[.]example", ("actor",), START, START, 0),
            Observable("user", "CORP\\m.ortiz", "CORP\\m.ortiz", ("victim",), START, START, 0),
            Observable("host", "HOST-7", "HOST-7", ("victim",), START, START, 0),
            Observable("file", "C:\\Temp\\upd.exe", "C:\\Temp\\upd.exe", ("artifact",), START, START, 0),
        ),
        pages=(
            Page("HOST-7 needs a lead", START, "acknowledged", 180, "Ana Ruiz", at(1), 14100,
                 (Attempt("Ana Ruiz", "email", "delivered", START, 88, "250 2.0.0 Ok: queued as 4F2"),),
                 (PageMoment("received", START, 0), PageMoment("acknowledged", at(1), 14100))),
        ),
        tasks=(Task("Phone the person", "done", "Ana Ruiz", START, None, at(7), (("typed_password", "yes"),)),),
        runs=(Run("Malware on a host", "ask", "waiting", START, None),),
        comments=(Comment(at(6), "Ana Ruiz", "called **her**"),),
        evidence=(Evidence("E1", title, "Windows program", 4096, "ab" * 32, at(5), "Ana Ruiz", "person", "from the disk", ((at(9), "Bob", "downloaded"),)),),
        open_ends=("Release HOST-7 from isolation",),
        proof=Proof(41, START, at(80), "ab" * 32, 0, "41 entries of the journal."),
        people=(("Ana Ruiz", 15),),
    )  # fmt: skip
