"""What is wrong in a playbook file is said with file, line and what to write instead."""

from pathlib import Path

import msgspec
import pytest
from playbook_bench import compiled, plan_of, problems

from playbooks.catalogue import Catalogue
from playbooks.compile import compile_text
from playbooks.plan import decode, digest, encode
from web.forms import asked

STEP = "version: 1\nplaybooks:\n  p:\n    inputs: {user: string}\n    steps:\n      - "


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("{id: a, action: edr.isolat_host, with: {host: x}}",
         '6: step "a": unknown action "edr.isolat_host"; did you mean "edr.isolate_host"?'),
        ("{id: a, action: edr.isolate_host}", '6: step "a": "edr.isolate_host" needs the input "host"'),
        ("{id: a, action: edr.isolate_host, with: {host: x, hots: y}}",
         '6: step "a": "edr.isolate_host" has no input "hots"; it has: host'),
        ("{id: a, taks: Look}", ('6: step "a": it does nothing; give it one of: action, approve, choose, mail, message, open, owners, page, '
         'parallel, playbook, propose, repeat, reporter, set, task, update, wait; did you mean "task"?')),
        ("{id: a, task: Look, wait: 5m}", '6: step "a": it has task and wait; a step does one thing'),
        ("{id: a, task: Look, tiemout: 5m}", '6: step "a": unknown key "tiemout"; did you mean "timeout"?'),
        ("{id: a, task: Look, timeout: soon}",
         '6: step "a": "timeout": "soon" is not a duration; write for example 30s, 5m, 1h, 3d or 2w'),
        ("{task: Look}", '6: a step without an id: "id" is missing'),
        ("{id: A-b, task: Look}", '6: step "A-b": "A-b" cannot be an id: use lower-case letters, digits and _, starting with a letter'),
        ("{id: a, task: {title: Look, assign: somebody}}",
         '6: step "a": "assign" is "somebody"; write owner, communications, role:…, user:… or on_call:…'),
        ("{id: a, set: {x: '{{ inputs.usr }}'}}", '6: step "a": "set": there is no "usr" here; did you mean "user"?'),
        ("{id: a, when: 'incident.severty == \"high\"', task: Look}",
         '6: step "a": "when": column 1: incident has no "severty"; did you mean "severity"?, in: incident.severty == "high"'),
        ("{id: a, when: steps.b.ok, task: Look}", '6: step "a": there is no step "b" before this one'),
        ("{id: a, playbook: q}", '6: step "a": there is no playbook "q"'),
        ("{id: a, playbook: p}", '6: step "a": playbook "p" would run itself: p → p'),
        ("{id: a, action: identity.disable_user, with: {user: x}, undo_after: 24h}",
         ('6: step "a": "undo_after" is only for blocked addresses, domains and URLs: an account or a host given back by a timer '
         'may be given back to the attacker; use "review_after", which asks a person')),
        ("{id: a, action: edr.isolate_host, with: {host: x}, undo_after: 24h}", 'use "review_after", which asks a person'),
        ("{id: a, on_error: ignore, task: Look}", '6: step "a": "on_error" is "ignore", but must be one of fail, continue'),
        ("{id: a, for_each: [1], retry: {attempts: 0}, task: Look}",
         '6: step "a": "attempts" must be a whole number from 1 to 20'),
        ("{id: a, approve: {ask: x, must: [role:boss]}}", 'step "a": "must" holds "role:boss"; write owner, role:…, user:… or on_call:…'),
        ("{id: a, approve: {ask: x, from: role:boss}}", 'step "a": "from" holds "role:boss"; write owner, role:…, user:… or on_call:…'),
        ("{id: a, wait: {for: 5m, until: 'true'}}", 'step "a": "wait" needs exactly one of "for", "until" and "callback"'),
        ("{id: a, update: {severity: urgent}}", '"severity" is "urgent", but must be one of info, low, medium, high, critical'),
        ("{id: a, task: '{{ item }}'}", 'there is no "item"'),
        ("{id: a, choose: [{when: 'true'}]}", None),
    ],
)  # fmt: skip
def test_sentences(step: str, said: str | None) -> None:
    found = problems(STEP + step + "\n")
    if said is None:
        assert found == []
        return
    assert any(said in one and one.startswith("playbooks.yaml:6: ") for one in found), found


def test_a_step_sees_only_what_has_surely_run() -> None:
    (said,) = problems("""
        version: 1
        playbooks:
          p:
            steps:
              - id: which
                choose: [{when: "true", steps: [{id: inside, task: Look}]}]
              - {id: after, when: steps.inside.ok, task: Look}
    """)
    assert said == (
        'playbooks.yaml:8: step "after": steps.inside cannot be used here: it stands later, or inside a branch or loop that may '
        'not have run (line 7); remember its value with "set" and use vars'
    )


def test_ids_are_unique() -> None:
    (said,) = problems("""
        version: 1
        playbooks:
          p:
            steps:
              - {id: a, task: Look}
              - {id: both, parallel: [{id: a, task: Look}]}
    """)
    assert said == 'playbooks.yaml:7: step "a": the id "a" is already used on line 6'


def test_forms_are_typed() -> None:
    (said,) = problems("""
        version: 1
        playbooks:
          p:
            steps:
              - id: ask
                task: {title: Look, form: {type: object, properties: {verdict: {type: string, enum: [good, bad]}}}}
              - {id: after, when: steps.ask.form.verdict == "goood", task: Look}
    """)
    assert 'steps.ask.form.verdict is never "goood"; did you mean "good"?' in said


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("{type: string, format: mail}", '"format" is "mail", but must be one of text, ip, email, url, domain, host, hash'),
        ("{type: array, items: {type: string, format: adress}}", '"format" is "adress", but must be one of'),
        ('{type: string, pattern: "(a+)+$"}', '"pattern" is not known; "format" is one of text, ip'),
    ],
)
def test_a_field_asks_for_a_named_kind_and_for_no_regular_expression(field: str, said: str) -> None:
    (found,) = problems(f"""
        version: 1
        playbooks:
          p:
            steps:
              - id: ask
                task: {{title: Look, form: {{type: object, properties: {{value: {field}}}}}}}
    """)
    assert f'form field "value": {said}' in found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "playbooks.yaml:1: the file is empty; it needs version: 1 and playbooks:"),
        ("version: 1\nplaybooks: {p: {steps: [}}", "playbooks.yaml:2: this is not readable YAML"),
        ("version: 2\nplaybooks: {p: {steps: [{id: a, task: x}]}}", 'playbooks.yaml:1: file: "version" must be 1'),
        ("version: 1\nplaybooks:\n  p: {steps: [{id: a, task: x}], triggers: [{on: incident.opend}]}",
         'did you mean "incident.opened"?'),
        ("version: 1\nplaybooks:\n  p: {steps: [{id: a, task: x}], triggers: [{on: incident.opened, when: incident.x == 1}]}",
         'playbooks.yaml:3: playbook "p": trigger: column 1: incident has no "x"'),
        ("version: 1\nplaybooks:\n  p: {mode: aks, steps: [{id: a, task: x}]}",
         'playbooks.yaml:3: playbook "p": "mode" is "aks", but must be one of watch, ask, act; did you mean "ask"?'),
        ("version: 1\nplaybooks:\n  p: {}", 'playbooks.yaml:3: playbook "p": it has no steps'),
    ],
)  # fmt: skip
def test_whole_files(text: str, said: str) -> None:
    assert any(said in one for one in problems(text)), problems(text)


def test_nothing_is_compiled_from_a_faulty_file() -> None:
    made = compiled(
        "version: 1\nplaybooks:\n  a: {steps: [{id: x, task: x}]}\n  b: {steps: [{id: x, tsk: x}]}\n"
    )
    assert made.plans == {}


def test_a_form_is_asked_in_the_order_of_the_file() -> None:
    plan = plan_of("- {id: a, task: {title: Look, form: {type: object, properties: {who: {}, did: {}, because: {}}}}}")
    form = decode(encode(plan)).steps["a"].spec["form"]
    assert [field.name for field in asked(form)] == ["who", "did", "because"]


def test_a_plan_is_named_by_its_content_not_by_its_place() -> None:
    one = plan_of("- {id: a, task: Look}")
    moved = plan_of("# a remark\n\n- {id: a, task: Look}")
    other = plan_of("- {id: a, task: Look twice}")
    assert digest(one) == digest(moved) != digest(other)
    assert decode(encode(one)) == one
    with pytest.raises(AttributeError):
        one.key = "x"  # type: ignore[misc]  # the point of the test
    assert msgspec.json.decode(encode(one))["steps"]["a"]["path"] == "a"


def test_approvals_cover_what_stands_after_them_and_inside() -> None:
    plan = plan_of("""
      - id: which
        choose:
          - when: "true"
            steps:
              - {id: free, action: identity.disable_user, with: {user: x}}
              - {id: agree, approve: {ask: Contain}}
              - {id: covered, action: identity.disable_user, with: {user: x}}
      - {id: outside, action: identity.disable_user, with: {user: x}}
      - {id: guard, approve: {ask: Again, steps: [{id: inside, action: identity.disable_user, with: {user: x}}]}}
      - {id: behind, action: identity.disable_user, with: {user: x}}
    """)
    assert {step.id: step.cover for step in plan.steps.values() if step.kind == "action"} == {
        "free": None, "covered": "which/0/agree", "outside": None, "inside": "guard", "behind": None,
    }  # fmt: skip


def test_the_shipped_playbooks_are_sound() -> None:
    path = Path("playbooks.yaml")
    made = compile_text(path.read_text(), path.name, Catalogue())
    assert [str(problem) for problem in made.problems] == []
    assert {key: plan.mode for key, plan in made.plans.items()} == dict.fromkeys(made.plans, "ask")
    triggered = {plan.triggers[0].when for plan in made.plans.values() if plan.triggers}
    assert triggered == {
        f'incident.category == "{name}"'
        for name in ("phishing", "malware", "login", "secret", "web_attack", "availability")
    }
