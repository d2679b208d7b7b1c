"""JSON that a person types into a form: what is wrong is told with its line and how to mend it, and the text is not lost."""

import html
import json
import re

import pytest
from at_the_pages import Reader
from people_here import People

from cli import assemble
from connectors.contract import Field
from core.db import reading
from core.errors import Invalid
from ingest import sources
from web import connector_forms, json_text

assemble.load()
pytestmark = pytest.mark.usefixtures("sqlite_database")
GOOD = '{"mapping": {"title": "message", "severity": "high", "fingerprint": ["message"]}}'


def mapping(problem: str) -> str:
    """A mapping of three lines with something wrong in the second."""
    return '{\n  "mapping": ' + problem + "\n}"


WRONG = {
    mapping('{"title": "message" "severity": "level"}'): ("Line 2", "a comma is missing before this"),
    mapping('{"title": "message",}'): ("Line 2", "Take the last comma away"),
    '{\n  "mapping": {},\n}': ("Line", "Take the last comma away"),
    mapping('{"title" "message"}'): ("Line 2", "a colon is missing"),
    mapping('{title: "message"}'): ("Line 2", "Names stand in double quotes"),
    mapping("{'title': 'message'}"): ("Line 2", "plain double quotes"),
    mapping("{\u201ctitle\u201d: 1}"): ("Line 2", "plain double quotes"),
    mapping('{"title": }'): ("Line 2", "a value is missing"),
    mapping('{"title": "message}'): ("Line 2", "text"),
    mapping('{"title": "C:\\Windows"}'): ("Line 2", "Write two of them"),
    '{"mapping": {"title": "message"}': ("Line 1", "Close each {"),
    '{"mapping": {}}\n{"more": 1}': ("Line 2", "has ended before this"),
    "mapping: {}": ("Line 1", "a value is missing"),
    mapping('{"title": NaN}'): ("NaN is no number", "Write a number, or null"),
    mapping('{"title": 1e999}'): ("cannot be stored", "Take it away"),
    mapping('{"title": "\\u0000"}'): ("cannot be stored", "Take it away"),
    mapping('{"title": "\\ud800"}'): ("cannot be stored", "Take it away"),
    "[" * 100_000: ("nested too deeply", "fewer brackets"),
}


@pytest.mark.parametrize("text", WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_is_told_with_its_line_and_how_to_mend_it(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        json_text.read(text)
    for part in WRONG[text]:
        assert part in refused.value.message
    assert len(refused.value.message) < 300


@pytest.mark.parametrize("text", [GOOD, "[]", '"\\\\u0000 as text"', '{"a": "😀 ñ \\ud83d\\ude00", "b": [1.5, null, true]}'])
def test_what_is_right_is_read(text: str) -> None:
    json_text.read(text)


def shows(page: str, text: str) -> bool:
    """Whether a field of the page still holds what was typed."""
    return f">{text}</textarea>" in html.unescape(page)


@pytest.mark.parametrize("wrong", [mapping('{"title": "<b>&"  "level"}'), "[1]"])
def test_a_new_source_keeps_what_was_typed(people: People, wrong: str) -> None:
    ana = Reader(people.ana)
    page = ana.post("/settings/sources/new/generic_json", 422, name="sensor", config=wrong, proof="bearer", trust="low", learn="").text
    assert ("Line 2" in page) is not wrong.startswith("[")
    assert ("an object: {…}" in page) is wrong.startswith("[")
    assert shows(page, wrong)
    assert 'value="sensor"' in page
    assert 'value="low" selected' in page
    assert "<b>&" not in page


@pytest.mark.parametrize("wrong", [mapping('{"title": "<b>&"  "level"}'), "[1]"])
def test_a_source_that_is_changed_keeps_what_was_typed(people: People, wrong: str) -> None:
    ana = Reader(people.ana)
    ana.post("/settings/sources/new/generic_json", 200, name="sensor", config=GOOD, proof="bearer", trust="", learn="")
    page = ana.post("/settings/sources/sensor/config", 422, config=wrong).text
    assert shows(page, wrong)
    part = page[page.index('id="mapping"') :]
    assert "note-bad" in part, "the error stands where the text is"
    assert ("Line 2" in part) is not wrong.startswith("[")
    with reading() as session:
        assert sources.get(session, "sensor").config == json.loads(GOOD)
    ana.post("/settings/sources/sensor/config", config=GOOD.replace("message", "name"))
    with reading() as session:
        assert sources.get(session, "sensor").config["mapping"]["title"] == "name"


def test_a_mapping_that_reads_nothing_is_refused_when_it_is_saved(people: People) -> None:
    ana = Reader(people.ana)
    wrong = '{"mapping": {"title": "message", "severity": {"from": "n", "bands": {"x": "high"}}, "fingerprint": ["message"]}}'
    page = ana.post("/settings/sources/new/generic_json", 422, name="sensor", config=wrong, proof="bearer", trust="", learn="").text
    assert "severity.bands.x" in page
    assert shows(page, wrong)
    example = re.search("placeholder='([^']+)'", page)
    assert example, "the form shows how a mapping is written"
    ana.post("/settings/sources/new/generic_json", 200, name="sensor", config=html.unescape(example[1]), proof="bearer", trust="", learn="")


@pytest.mark.parametrize(("kind", "wrong", "says"), [
    ("object", '{"a": 1,}', "Take the last comma away"), ("object", "[1]", "{…}"), ("array", '{"a": 1}', "[…]"), ("array", "one, two", "a value is missing"),
])  # fmt: skip
def test_a_declared_structure_says_which_field_is_wrong(kind: str, wrong: str, says: str) -> None:
    fields = [Field(name="zones", type=kind)]
    with pytest.raises(Invalid) as refused:
        connector_forms.answers(fields, {"zones": wrong})
    assert says in refused.value.message
    (problem,) = refused.value.problems
    assert problem.path == "zones"
    (field,) = connector_forms.asked(fields, {"zones": wrong})
    assert field.value == wrong, "what was typed is not lost"
    good = {"object": '{"a": [1]}', "array": '["one"]'}[kind]
    assert connector_forms.answers(fields, {"zones": good}) == {"zones": {"a": [1]} if kind == "object" else ["one"]}


@pytest.mark.parametrize("wrong", ["nan", "inf", "1e999", "many"])
def test_a_number_is_a_number(wrong: str) -> None:
    with pytest.raises(Invalid, match="is not a number"):
        connector_forms.answers([Field(name="port", type="integer")], {"port": wrong})
