"""What an approval says of steps that have not been reached: values where they are known, plain words where not."""

from datetime import UTC, datetime
from typing import Any

import pytest
from at_the_pages import Reader, text_of
from incident_bench import draft, take
from people_here import People
from playbook_bench import facts, plan_of
from run_bench import begin, publish, waits_of

from cli import assemble
from connectors.contract import Entity
from core.ids import new_id
from core.types import Ref
from playbooks.state import Attempt, RunState
from web.foretelling import Ahead, Foretold

assemble.load()

STEPS = """
- id: look
  name: Look at the machine
  task: {title: Look, form: {type: object, properties: {system: {type: string, title: System}}}}
- id: may
  approve:
    ask: "Contain it?"
    steps:
      - id: isolate
        name: "Isolate {{ incident.host }}"
        action: edr.isolate_host
        with: {host: "{{ incident.host }}"}
      - id: lock
        name: Lock
        action: identity.disable_user
        with: {user: "{{ steps.look.form.system }}"}
      - id: all
        name: Block
        for_each: "{{ incident.observables.ip }}"
        action: network.block_ip
        with: {ip: "{{ item }}"}
      - id: found
        name: Block what was found
        for_each: "{{ steps.look.output.seen }}"
        action: network.block_ip
        with: {ip: "{{ item }}"}
"""


def ahead(steps: str = STEPS, *, done: dict[str, dict[str, Any]] | None = None, **changes: Any) -> Ahead:
    at = datetime(2026, 11, 22, tzinfo=UTC)
    run = RunState(id=new_id(), mode="act", inputs={}, started_at=at, name="P", playbook="p", trigger={})
    for path, values in (done or {}).items():
        row = Attempt(
            path=path, iteration="", attempt=1, state="succeeded", started_at=at, ended_at=at, **values
        )
        run.attempts[path, ""] = row
    return Ahead(plan_of(steps), run, facts(**changes))


def told(known: Ahead, name: str) -> dict[str, Foretold]:
    step = next(step for step in known.plan.steps.values() if step.id == name)
    return dict(known.inputs(step))


def test_what_is_known_is_shown_with_its_value() -> None:
    known = ahead()
    assert told(known, "isolate") == {"host": Foretold("web-1")}
    step = next(step for step in known.plan.steps.values() if step.id == "isolate")
    assert known.title(step) == "Isolate web-1"
    assert told(known, "all") == {"ip": Foretold("203.0.113.9")}


def test_what_is_not_known_yet_is_said_in_words() -> None:
    known = ahead(host=None)
    assert told(known, "isolate") == {
        "host": Foretold("the host of this incident (none is known yet)", known=False)
    }
    assert told(known, "lock") == {
        "user": Foretold("the answer “system” of “Look at the machine”", known=False)
    }
    assert told(known, "found") == {"ip": Foretold("each one that is found", known=False)}


def test_an_answer_that_has_been_given_is_shown() -> None:
    known = ahead(
        done={"look": {"form": {"system": "m.ortiz"}, "output": {"seen": ["192.0.2.7", "192.0.2.8"]}}}
    )
    assert told(known, "lock") == {"user": Foretold("m.ortiz")}
    assert told(known, "found") == {"ip": Foretold("192.0.2.7, 192.0.2.8")}


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("{{ steps.look.output.owner.name }}", "what “Look at the machine” finds"),
        ("{{ 'a' if steps.look.ok else 'b' }}", "what is worked out then"),
        ("host {{ steps.look.form.system }}", "host the answer “system” of “Look at the machine”"),
    ],
)
def test_no_placeholder_is_ever_shown(expression: str, said: str) -> None:
    step = STEPS.replace("{{ steps.look.form.system }}", expression)
    (value,) = told(ahead(step), "lock").values()
    assert value == Foretold(said, known=False)


@pytest.mark.usefixtures("sqlite_database")
def test_the_approvals_page_shows_values_and_words_but_no_templates(people: People, drain: Any) -> None:
    (taken,) = take(draft(entities=(Entity("host", "till-7", "target"),)))
    publish(STEPS.replace(STEPS.splitlines()[3], "  set: {looked: true}")
            .replace("steps.look.form.system", "vars.system").replace("steps.look.output.seen", "vars.seen"))  # fmt: skip
    run = begin(subject=Ref("incident", str(taken.incident_id)))
    drain("playbooks.runs")
    (wait,) = waits_of(run, "approval")
    page = Reader(people.rita).get(f"/approvals/{wait.id}")
    words = text_of(page)
    assert "{{" not in page
    assert "Isolate till-7" in words
    assert "host till-7" in words
    assert "the system it is given then" in words
    assert "the ip of this incident (none is known yet)" in words or "each one that is found" in words
