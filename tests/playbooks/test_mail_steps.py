"""The steps "mail", "propose" and "reporter", rehearsed in memory: what they ask of people where Tocsin cannot do it."""

from collections.abc import Mapping
from typing import Any

import pytest
from playbook_bench import plan_of, problems, start, states

from playbooks.advance import Asked
from playbooks.contract import Event
from playbooks.rehearse import take_up

STEPS = """
  - {id: original, mail: {title: Attach it, instructions: "Of {{ incident.key }}", due: 15m}, timeout: 1h, on_error: continue}
  - {id: weigh, propose: {mail: "{{ steps.original.output }}", urls: "{{ incident.observables.url }}"}}
  - {id: told, reporter: {text: "It is {{ steps.weigh.output.verdict }}"}}
"""


def answers(told: int, mail: Mapping[str, Any] | None = None) -> Any:
    def answer(asked: Asked) -> Mapping[str, Any]:
        given = {"mail": {"mail": mail}, "reporter": {"told": told}}
        return given.get(asked.perform.port) or take_up(asked)

    return answer


def test_a_kept_mail_needs_nobody() -> None:
    run = start(plan_of(STEPS), answer=answers(2, {"sender": "it@example.net", "asks_password": True, "dmarc": "fail"}))
    assert run.state.state == "succeeded"
    assert [one.perform.port for one in run.asked] == ["mail", "reporter"]
    assert run.asked[1].perform.arguments["text"] == "It is malicious"
    assert run.state.attempts[("told", "")].output == {"told": 2, "by_hand": False}


def test_people_do_what_tocsin_cannot() -> None:
    run = start(plan_of(STEPS), answer=answers(0))
    assert run.asked[1].perform.arguments["instructions"].startswith("Of INC-")
    run.deliver("original", Event("task", {"state": "done", "form": {"sender": "a@b.example", "passed": "fail"}, "by": ["Ana"]}))
    assert run.asked[-1].perform.port == "task"
    assert "> It is not sure" in run.asked[-1].perform.arguments["instructions"]
    run.deliver("told", Event("task", {"state": "done", "by": ["Ana"]}))
    assert run.state.state == "succeeded"
    assert run.state.attempts[("told", "")].output == {"told": 0, "by_hand": True}


@pytest.mark.parametrize("step", ["original", "told"])
def test_what_a_person_leaves_out_is_left_out(step: str) -> None:
    run = start(plan_of(STEPS), answer=answers(0))
    for name in ("original", "told"):
        skipped = {"state": "skipped", "by": ["Ana"], "reason": "not now"}
        run.deliver(name, Event("task", skipped if name == step else {"state": "done", "form": {"sender": "a@b.example"}}))
    assert (states(run)[step], run.state.state) == ("skipped" if step == "told" else "succeeded", "succeeded")
    assert run.state.attempts[("original", "")].output["kept"] is False


def test_nobody_attaches_it_in_time_and_watching_asks_nobody() -> None:
    run = start(plan_of(STEPS), answer=answers(0))
    run.pass_time(3600)
    assert states(run)["original"] == "failed"
    assert states(run)["weigh"] == "succeeded"
    watched = start(plan_of(STEPS), answer=answers(0), mode="watch")
    assert [one.perform.port for one in watched.asked] == ["mail"]
    assert states(watched) == {"original": "skipped", "weigh": "succeeded", "told": "skipped"}


def test_thanks_and_words_that_reach_nobody_may_be_left_out() -> None:
    run = start(plan_of("""
      - {id: thanks, reporter: {thanks: true}}
      - {id: told, reporter: {text: Safe, unreached: skip}}
    """), answer=answers(0))  # fmt: skip
    assert states(run) == {"thanks": "skipped", "told": "skipped"}


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("reporter: {}", '"reporter" needs either "thanks: true" or a "text"'),
        ("reporter: {thanks: true, text: x}", '"reporter" needs either'),
        ("mail: {due: 5m}", '"title" is missing'),
        ("mail: {title: x, assign: nobody}", '"assign" is "nobody"; write owner, communications, role:'),
        ("propose: {urls: x}", '"mail" is missing'),
    ],
)
def test_mistakes_are_told(step: str, said: str) -> None:
    found = problems("version: 1\nplaybooks:\n  p:\n    steps:\n      - {id: a, " + step + "}\n")
    assert any(said in one for one in found), found


def test_a_mail_that_is_no_mail_fails_the_step() -> None:
    run = start(plan_of('[{id: weigh, propose: {mail: "{{ incident.key }}"}}]'))
    assert run.state.attempts[("weigh", "")].error == '"mail" must be the output of a step that reads a mail'
