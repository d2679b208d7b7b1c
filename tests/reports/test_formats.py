"""Each format tells the same report: as PDF, JSON and STIX 2.1, hostile values included."""

import io
import json
from dataclasses import replace

import pytest
from made_report import HOSTILE, START, report
from stix2validator import ValidationOptions, validate_string

from core.errors import NotFound
from reports import contract
from reports.model import IncidentReport
from reports.wording import duration, listed, moment


def text_of(pdf: bytes) -> str:
    from pypdf import PdfReader

    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages)


@pytest.mark.parametrize("title", ["Malware on HOST-7", HOSTILE])
def test_the_pdf_tells_it_and_takes_nothing_for_markup(title: str) -> None:
    written = contract.get("pdf").write(report(title))
    assert written.startswith(b"%PDF-")
    told = text_of(written)
    for expected in ("INC-2026-000042", "TLP:AMBER", "CRITICAL", "Release HOST-7 from isolation", "203[.]0[.]113[.]9",
                     "14 s", "not known", "Ana Ruiz"):  # fmt: skip
        assert expected in told
    if title is HOSTILE:
        assert '<script>alert(1)</script> #import "x"' in told


@pytest.mark.parametrize("of", contract.PRINTS)
def test_the_pdf_can_be_read_aloud_and_kept_for_decades(of: str) -> None:
    from pypdf import PdfReader

    written = contract.get("pdf").written(report("\U0001f514 漢 Malware\u202efdp.exe"), of)
    read = PdfReader(io.BytesIO(written))
    catalog = read.trailer["/Root"]
    assert (catalog["/Lang"], catalog["/MarkInfo"]["/Marked"]) == ("en", True)
    described = catalog["/Metadata"].get_data().decode()
    assert 'pdfuaid:part="1"' in described or "<pdfuaid:part>1<" in described
    assert 'pdfaid:part="2"' in described or "<pdfaid:part>2<" in described
    assert read.metadata is not None
    assert (read.metadata.title or "").startswith("INC-2026-000042 [bell] [U+6F22] Malware[U+202E]fdp.exe")
    assert "[bell] [U+6F22] Malware[U+202E]fdp.exe" in text_of(written)
    for number, page in enumerate(read.pages, 1):
        assert f"{number} / {len(read.pages)}" in page.extract_text()


@pytest.mark.parametrize("rows", [2, 9, *range(20, 50)])
def test_no_row_of_a_table_stands_alone_on_a_page(rows: int) -> None:
    from pypdf import PdfReader

    made = report()
    alert = replace(made.alerts[0], why=None)
    many = tuple(replace(alert, title=f"Row {number}.") for number in range(rows))
    read = PdfReader(io.BytesIO(contract.get("pdf").written(replace(made, alerts=many), "annex")))
    on_pages = [page.extract_text().count("Row ") for page in read.pages]
    assert sum(on_pages) == rows
    assert 1 not in on_pages


@pytest.mark.parametrize("title", ["Malware on HOST-7", HOSTILE + "\u202e"])
def test_html_needs_nothing_and_runs_nothing(title: str) -> None:
    page = contract.get("html").write(report(title)).decode()
    assert "<script" not in page
    assert "\u202e" not in page
    assert "default-src 'none'" in page
    for expected in (
        "INC-2026-000042",
        "TLP:AMBER",
        "Release HOST-7 from isolation",
        "203[.]0[.]113[.]9",
        "14 s",
        "not known",
    ):
        assert expected in page


def test_json_is_the_model() -> None:
    told = json.loads(contract.get("json").write(report(HOSTILE)))
    assert told["head"]["key"] == "INC-2026-000042"
    assert told["head"]["opened_at"] == "2026-11-22T03:12:00Z"
    assert told["pages"][0]["acknowledged_ms"] == 14100
    assert told["timeline"][0]["text"] == HOSTILE


SHAPE = {
    "IncidentReport": "made_at made_by head paragraph times timeline actions countermeasures decisions alerts observables pages tasks runs comments "
    "open_ends proof people spans findings review follow_ups earlier evidence messages notices obligations shared waited external",
    "Head": "id key title kind severity severity_reason stage confirmation confirmed_by confirmed_at confirmed_because category owner scribe "
    "communications source trust tlp pap tags techniques late exercise opened_at closed_at closed_by disposition root_cause summary opened_because "
    "url alert_count",
    "KeyTime": "kind says at after_seconds source set_by",
    "Span": "name says seconds counted target_seconds within usual_seconds among",
    "Waited": "whom seconds times",
    "Line": "at actor actor_kind automatic verb text",
    "Action": "at action target effect state asked_by approved_by ended_at answer automatic reason rail verified_at undone_at side_effects",
    "Countermeasure": "what target state since until review_at verified_at removed_at seen_after note",
    "Decision": "at question decision by because options informed",
    "Alert": "title source severity status count first_seen last_seen why",
    "Observable": "type value shown roles first_seen last_seen elsewhere acted verdict verdict_by verdict_at verdict_says proposed shared",
    "Task": "title status who created_at due_at ended_at answers reason choices",
    "Run": "playbook mode state started_at ended_at chose",
    "Comment": "at author body",
    "Finding": "number at precision says source confidence technique entities evidence added_by",
    "Point": "section at area state says result how who added_by options",
    "FollowUp": "title owner due_at overdue link state ended_at ended_by note key",
    "Evidence": "number name kind size_bytes sha256 added_at added_by origin note custody",
    "Page": "title started_at state sent_ms acknowledged_by acknowledged_at acknowledged_ms attempts ledger",
    "Attempt": "to channel state sent_at latency_ms answer",
    "PageMoment": "what at ms",
    "Obligation": "question state because by at due_at options sent_at receipt_at reference to tlp",
    "Shared": "to what tlp at receipt_at reference by",
    "Notice": "at to channel title state by",
    "Message": "at to by via text",
    "Proof": "entries first last digest redacted statement sealed begins ends checkpoint checkpoint_at witnesses clock verify",
    "Kept": "name size at",
}
"""What others have written programs for: a name may come, none may go or change without a new version of the API."""


def test_the_json_has_the_names_that_programs_read_and_fits_its_own_schema() -> None:
    import jsonschema
    import msgspec

    schema = msgspec.json.schema(IncidentReport)
    told = {name: sorted(part["properties"]) for name, part in schema["$defs"].items()}
    assert told == {name: sorted(words.split()) for name, words in SHAPE.items()}
    jsonschema.validate(json.loads(contract.get("json").write(report(HOSTILE))), schema)


@pytest.mark.parametrize("tlp", ["clear", "green", "amber", "amber+strict", "red"])
def test_the_oasis_validator_accepts_the_bundle(tlp: str) -> None:
    made = report(HOSTILE)
    written = contract.get("stix").write(replace(made, head=replace(made.head, tlp=tlp))).decode()
    result = validate_string(written, ValidationOptions(version="2.1", strict_types=True))
    assert result.is_valid, result.errors
    objects = {o["type"]: o for o in json.loads(written)["objects"]}
    assert {
        "incident",
        "report",
        "observed-data",
        "ipv4-addr",
        "ipv6-addr",
        "file",
        "url",
        "attack-pattern",
    } <= set(objects)
    assert objects["incident"]["name"].startswith("INC-2026-000042")
    assert written == contract.get("stix").write(replace(made, head=replace(made.head, tlp=tlp))).decode()


def test_what_a_person_called_malicious_is_an_indicator_and_what_a_look_up_proposes_is_not() -> None:
    made = report()
    said = {"ipv4-addr": "malicious", "domain": "suspicious", "file-hash": "malicious", "url": "malicious", "email": "harmless", "host": "malicious"}
    judged = tuple(
        replace(one, value=one.value + "'" if one.type == "url" else one.value, verdict=said.get(one.type, "unknown"),
                verdict_by="Ana Ruiz", proposed=one.type == "domain")
        for one in made.observables
    )  # fmt: skip
    written = contract.get("stix").write(replace(made, observables=judged)).decode()
    result = validate_string(written, ValidationOptions(version="2.1"))
    assert result.is_valid, result.errors
    patterns = {one["pattern"] for one in json.loads(written)["objects"] if one["type"] == "indicator"}
    assert patterns == {
        "[ipv4-addr:value = '203.0.113.9']",
        f"[file:hashes.'SHA-256' = '{'a' * 64}']",
        "[url:value = 'http://evil.example/x?y\\'']",
    }


def test_a_bundle_without_observables_is_valid_too() -> None:
    bare = replace(report(), observables=(), alerts=())
    result = validate_string(contract.get("stix").write(bare).decode(), ValidationOptions(version="2.1"))
    assert result.is_valid, result.errors


def test_an_unknown_format_names_the_known_ones() -> None:
    with pytest.raises(NotFound, match="json, pdf, stix"):
        contract.get("docx")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "not known"),
        (0.123, "123 ms"),
        (61, "1 min 1 s"),
        (90_000, "1 d 1 h"),
        (3600, "1 h"),
        (-5, "−5 s"),
    ],
)
def test_durations_in_words(seconds: float | None, said: str) -> None:
    assert duration(seconds) == said


def test_lists_and_moments_in_words() -> None:
    assert listed([]) == ""
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert moment(START) == "2026-11-22 03:12:00 UTC"
