"""Test cases beside the playbooks: the shipped ones hold and take every branch; what is wrong is told with its line."""

import json
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from click.testing import CliRunner, Result
from playbook_bench import compiled
from run_bench import SHIPPED

from cli.commands.playbooks import command
from connectors import mapping, registry
from core.errors import Invalid, NotFound
from playbooks import cases, proving, publishing
from playbooks.vocabulary import VERBS

PLAYBOOKS = """
    version: 1
    playbooks:
      p:
        triggers: [{on: incident.opened, when: 'incident.category == "login"'}]
        steps:
          - {id: known, action: intel.look_up, with: {value: "{{ incident.ip }}"}, retry: {attempts: 2, delay: 10s}, on_error: continue}
          - id: agree
            approve:
              ask: "Block {{ incident.ip }}?"
              expires: 30m
              steps:
                - {id: block, action: network.block_ip, with: {ip: "{{ incident.ip }}"}, on_error: [{id: call, page: {policy: high, message: It is not blocked}}]}
          - {id: raise, when: steps.known.ok, update: {severity: critical, tags_add: [seen]}}
          - id: talk
            task: {title: Phone the user, form: {type: object, required: [typed], properties: {typed: {type: boolean}}}}
          - id: which
            choose:
              - {name: typed it, when: steps.talk.form.typed && incident.severity == "critical", steps: [{id: tell, message: {text: It was typed}}]}
              - {name: harmless, when: '!steps.talk.form.typed', steps: []}
"""
GOOD = """
    name: good
    playbook: p
    on: incident.opened
    incident: {category: login, ip: 203.0.113.9}
    people: {talk: {after: 20m, answer: {typed: true}}}
    products: {intel.look_up: [{fails: busy}, {score: 9}]}
    expect: {done: [known, raise, tell], tasks: [Block, Phone the user], asks: ["Block 203.0.113.9?"], messages: [It was typed],
             calls: [intel.look_up, {intel.look_up: {value: 203.0.113.9}}], incident: {severity: critical, tags: [seen]}, took: 20m10s}
"""


def played(tmp_path: Path, *written: str) -> tuple[list[proving.Outcome], list[proving.Coverage]]:
    plans = compiled(PLAYBOOKS).plans
    text = "version: 1\ntests:\n" + "".join(
        "  - " + dedent(one).strip().replace("\n", "\n    ") + "\n" for one in written
    )
    path = tmp_path / "playbooks.tests.yaml"
    path.write_text(text)
    return proving.prove(plans, cases.read(path, plans))


def told(tmp_path: Path, **changes: Any) -> list[str]:
    """What a case says is wrong; `changes` are put into the good one."""
    lines = [
        line
        for line in dedent(GOOD).strip().splitlines()
        if line.split(":")[0] not in changes and not line.startswith(" ")
    ]
    expect = changes.pop("expect", None)
    lines = [line for line in lines if not line.startswith("expect")]
    lines += [f"{name}: {json.dumps(value)}" for name, value in {**changes, "expect": expect or {}}.items()]
    (outcome,), _coverage = played(tmp_path, "\n".join(lines))
    return outcome.problems


def test_what_is_expected_is_compared_with_what_the_engine_did(tmp_path: Path) -> None:
    (outcome,), (coverage,) = played(tmp_path, GOOD)
    assert outcome.problems == []
    assert str(coverage) == "p: 3 of 8 branches"
    assert coverage.missing == [
        'line 8: step "agree": not agreed', 'line 13: step "block": on_error', 'line 14: step "raise": when it does not hold',
        'line 17: step "which": harmless', 'line 17: step "which": no branch',
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"expect": {"end": "failed"}}, ["expected the end failed, but it is succeeded"]),
        ({"expect": {"done": ["call"], "left_out": ["tell"]}}, ['step "call" was not done', 'step "tell" was done']),
        ({"expect": {"pages": ["high"]}}, ["pages are not as expected; they were: none"]),
        ({"expect": {"tasks": ["Block"]}}, ["tasks are not as expected; they were:\n      - Block\n      - Phone the user"]),
        ({"expect": {"calls": [{"intel.look_up": {"value": "x"}}]}}, ["calls are not as expected; they were:\n      - {'intel.look_up': {'value': '203.0.113.9'}}\n      - {'intel.look_up': {'value': '203.0.113.9'}}"]),
        ({"expect": {"took": "1m", "incident": {"severity": "low"}}}, ["expected the incident's severity to become low, but it became critical", "expected it to take 1m, but it took 20 min 10 s"]),
        ({"people": {"talk": "nobody"}}, ["expected the end done, but it is waiting; it waits at talk"]),
        ({"people": {"talk": "left out: no time"}}, []),
        ({"people": {"talk": {"typed": "yes", "more": 1}}}, ["step \"talk\": typed: 'yes' is not of type 'boolean'", 'step "talk": more: its form does not ask that']),
        ({"people": {"agree": "refuse: it is ours", "talk": {"typed": False}}, "expect": {"left_out": ["block"]}}, []),
        ({"people": {"agree": "nobody", "talk": {"typed": False}}, "expect": {"left_out": ["block"], "took": "30m10s"}}, []),
        ({"products": {"network.block_ip": {"fails": "no answer"}}, "people": {"talk": {"typed": False}}, "expect": {"pages": [{"high": "It is not blocked"}]}}, []),
        ({"products": {"network.block_ip": {"refused": "protected"}}, "people": {"talk": {"typed": False}}, "expect": {"left_out": ["block"]}}, []),
        ({"incident": {"category": "malware"}, "people": {"talk": {"typed": False}}}, ['incident.opened does not start it: incident.category == "login"']),
        ({"on": "alert.recurred"}, ["alert.recurred does not start it: it has no such trigger"]),
    ],
)  # fmt: skip
def test_whatever_differs_is_said(tmp_path: Path, changes: dict[str, Any], said: list[str]) -> None:
    assert told(tmp_path, **changes) == said


def test_a_case_that_cannot_be_played_is_refused_with_its_line(tmp_path: Path) -> None:
    wrong = {
        "playbook: q": 'playbooks.tests.yaml:4: case "x": there is no playbook "q"',
        "playbook: p\nincident: {hots: a}": 'case "x": an incident has no "hots"; did you mean "host"?',
        "playbook: p\npeople: {tlak: yes}": 'case "x": there is no step "tlak"; did you mean "talk"?',
        "playbook: p\nproducts: {network.block_up: }": 'case "x": it calls nothing named "network.block_up"; did you mean "network.block_ip"?',
        "playbook: p\nexpect: {dnoe: [talk]}": 'case "x": unknown key "dnoe"; did you mean "done"?',
        "playbook: p\nalert: {connector: wazuh, file: no.json}": 'case "x": there is no file no.json',
        "playbook: p\nalert: {connector: wazhu, file: a}": 'case "x": there is no connector "wazhu"; did you mean "wazuh"?',
        "playbook: p\nalert: {connector: wazuh, file: shuffle-envelope.json}": 'case "x": the default grouping rules open no incident for shuffle-envelope.json',
        "playbook: p\nalert: {connector: github, file: ping.json}": 'case "x": github finds no alert in ping.json',
    }  # fmt: skip
    for text, said in wrong.items():
        with pytest.raises(Invalid) as caught:
            played(tmp_path, f"name: x\n{text}")
        assert said in caught.value.message
    with pytest.raises(Invalid, match='the file needs "tests"'):
        played(tmp_path)
    with pytest.raises(NotFound, match="write the cases there"):
        cases.read(tmp_path / "none.yaml", {})


def test_steps_of_called_playbooks_are_named_with_what_stands_around_them() -> None:
    assert cases.is_named("which/2/account/steps/agree/steps/password", "account.password")
    assert cases.is_named("which/2/account/steps/agree/steps/password", "password")
    assert not cases.is_named("which/2/account/steps/agree/steps/password", "agree.account")
    assert not cases.is_named("which/2/account", "password")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, ["test", *arguments])


def test_the_shipped_cases_hold_and_take_every_branch() -> None:
    done = run(str(SHIPPED), "--every-branch")
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert [line for line in lines if line.startswith(("FAIL", "    "))] == []
    counted = {line.split(":")[0]: line.split()[1:4:2] for line in lines if line.endswith("branches")}
    assert set(counted) == set(publishing.read(SHIPPED)[1].plans)
    assert all(reached == of for reached, of in counted.values())


def test_the_command_tells_machines_and_exits_by_what_it_found(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(
        "version: 1\nplaybooks:\n  p:\n    steps:\n      - {id: t, when: incident.late, task: Do it}\n"
    )
    assert "no file" in str(run(str(mine)).exception)
    beside = tmp_path / "mine.tests.yaml"
    beside.write_text("tests:\n  - {name: n, playbook: p, expect: {done: [t]}}\n")
    failed = run(str(mine), "--json")
    said = json.loads(failed.output)
    assert failed.exit_code == 1
    assert [(one["name"], one["passed"], one["problems"]) for one in said["cases"]] == [
        ("n", False, ['step "t" was not done'])
    ]
    assert said["branches"] == [
        {"playbook": "p", "reached": 1, "of": 2, "missing": ['line 5: step "t": when it holds']}
    ]
    assert "FAIL p: n (line 2)" in run(str(mine)).output
    beside.write_text("tests:\n  - {name: n, playbook: p, expect: {left_out: [t]}}\n")
    assert run(str(mine)).exit_code == 0
    assert run(str(mine), "--every-branch").exit_code == 1
    assert "There is no playbook" in str(run(str(mine), "--playbook", "q").exception)


def test_the_alerts_of_the_products_start_the_playbooks() -> None:
    plans = publishing.read(SHIPPED)[1].plans
    started = {
        str(trigger.when).split('"')[1]
        for plan in plans.values()
        for trigger in plan.triggers
        if trigger.when
    }
    assert started == {"phishing", "malware", "login", "secret", "web_attack", "availability"}
    opened: set[str] = set()
    for connector in registry.sources():
        for sample in connector.samples:
            read = mapping.read(
                connector, sample.body, sample.content_type, dict(sample.headers), sample.config
            )
            opened |= {
                facts["category"]
                for draft in read.drafts
                if (facts := cases.opened_by(draft, connector.name))
            }
    assert opened >= started - {"phishing"}, "reported by people, so no product's sample opens one"


def test_verbs_say_what_they_need_and_a_person_can_do_them() -> None:
    for name, verb in VERBS.items():
        assert verb.effect in ("read", "write", "disruptive"), name
        for needed in verb.inputs:
            assert f"inputs.{needed}" in verb.by_hand or not verb.inputs[needed].required, f"{name}: {needed}"
        if verb.effect == "read":
            assert verb.outputs, f"{name} only reads, and answers nothing"
        for action in registry.verbs().get(name, ()):
            taken = {field.name: field.required and field.default is None for field in action.inputs}
            assert set(verb.needs) <= set(taken), f"{action.full_name} does not take all that {name} says"
            assert {key for key, required in taken.items() if required} <= set(verb.needs), (
                f"{action.full_name} needs what {name} does not say"
            )
            if action.request is not None:
                assert set(verb.outputs) <= set(action.output), f"{action.full_name} does not answer what {name} promises"


def test_an_input_of_another_kind_is_refused() -> None:
    from playbooks.catalogue import Catalogue
    from playbooks.compile import compile_text

    text = "version: 1\nplaybooks: {p: {steps: [{id: a, action: siem.search, with: {value: x, days: many}}]}}"
    (problem,) = compile_text(text, "playbooks.yaml", Catalogue()).problems
    assert problem.message == 'step "a": "siem.search" takes no str for "days"'
