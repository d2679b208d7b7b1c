"""A walk without effects says what a playbook would do; the language's schema accepts what the compiler accepts."""

from pathlib import Path

import jsonschema
import pytest
from playbook_bench import compiled
from run_bench import SHIPPED

from core.errors import Invalid, NotFound
from core.plugins import load_yaml
from playbooks import publishing, simulate

PLANS = compiled("""
    version: 1
    playbooks:
      p:
        steps:
          - {id: look, action: intel.look_up, with: {value: "{{ incident.ip }}"}}
          - {id: talk, task: {title: Phone, form: {type: object, properties: {typed: {type: boolean}}}}}
          - id: which
            choose:
              - {name: typed it, when: steps.talk.form.typed, steps: [{id: off, action: identity.disable_user, with: {user: ana}}]}
              - {name: harmless, otherwise: []}
""").plans


def test_a_walk_follows_the_answers() -> None:
    told = [str(line) for line in simulate.walk(PLANS, "p", {"incident": {"ip": "203.0.113.9"}})]
    assert told == [
        "run      Look: intel.look_up (value: 203.0.113.9)  (dry run: nothing was sent)",
        "task     Talk",
        "decide   Which: harmless  (otherwise)",
        "end      P: done",
    ]
    lines = simulate.walk(PLANS, "p", {"answers": {"talk": {"typed": True}, "off": False}})
    assert [(line.path, line.verdict) for line in lines][-2:] == [("which/0/off", "refused"), ("", "end")]


def test_what_is_given_is_checked(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match='There is no playbook "q"'):
        simulate.walk(PLANS, "q", {})
    with pytest.raises(Invalid, match='An incident has no "hots"; did you mean "host"'):
        simulate.walk(PLANS, "p", {"incident": {"hots": "x"}})
    with pytest.raises(Invalid, match='There is no step "tlak"'):
        simulate.walk(PLANS, "p", {"answers": {"tlak": {}}})
    (tmp_path / "facts.yaml").write_text("host: web-1\n")
    assert simulate.read_facts(tmp_path / "facts.yaml") == {"incident": {"host": "web-1"}}


@pytest.fixture(scope="module")
def shipped() -> dict:
    return publishing.read(SHIPPED)[1].plans


@pytest.mark.parametrize("key", ["phishing", "malware", "login", "secret", "web", "outage"])
@pytest.mark.parametrize("mode", ["watch", "ask", "act"])
@pytest.mark.parametrize(
    "known",
    [{}, {"host": "files-02", "user": "ana", "ip": "203.0.113.9", "hash": "0" * 64, "domain": "a.example"}],
)
def test_the_shipped_playbooks_walk_to_their_end(shipped: dict, key: str, mode: str, known: dict) -> None:
    last = simulate.walk(shipped, key, {"incident": known, "mode": mode})[-1]
    assert last.says.endswith(": done"), last


def test_the_schema_accepts_the_shipped_file() -> None:
    schema = publishing.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    data, _marks = load_yaml(SHIPPED)
    errors = [
        f"{error.json_path}: {error.message[:200]}"
        for error in jsonschema.Draft202012Validator(schema).iter_errors(data)
    ]
    assert errors == []
