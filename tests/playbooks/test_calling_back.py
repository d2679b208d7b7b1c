"""Somebody outside is told where to call back, calls over HTTP, and is heard once; the address is kept nowhere."""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import pytest
from every_route import app
from playbook_bench import plan_of, problems, start
from run_bench import Pretend, attempts_of, begin, finish, pretending, publish, run_of, waits_of
from sqlalchemy import select
from vendor_server import Answer, Call, Vendor

from cli import assemble
from connectors import instances
from connectors.models import ActionCall
from core import callbacks, journal
from core.actors import SYSTEM
from core.db import reading, unit_of_work
from core.errors import Conflict, NotFound
from core.ids import new_id
from core.types import Ref, Severity
from incidents import lifecycle
from incidents.lifecycle import IncidentDraft
from playbooks import calling_back, ports, runs
from playbooks.catalogue import Catalogue
from playbooks.models import StepAttempt, Wait
from web import security

Drain = Callable[..., int]

SANDBOX = """
    - {id: send, action: chat.post, with: {text: "scan, then call {{ callbacks.verdict }}"}}
    - {id: verdict, wait: {callback: true}, timeout: 1h}
    - {id: keep, set: {got: "{{ steps.verdict.output.verdict }}"}}
"""


def proven(run: UUID, path: str = "verdict", iteration: str = "") -> str:
    """The token that whoever was told the address holds."""
    told = callbacks.proven(callbacks.address(run, callbacks.place(path, iteration)), str(run))
    return str(told.rpartition("/")[2])


def call_back(token: str, payload: Any) -> UUID:
    with unit_of_work() as uow:
        return calling_back.answer(uow, token, payload)


@pytest.fixture
def pretend(database: object) -> Iterator[Pretend]:
    with pretending() as made:
        yield made


@pytest.fixture
def go(drain: Drain) -> Callable[[], int]:
    return lambda: drain("playbooks.runs")


# ------------------------------------------------------------------------------------------------ the whole way


def over_http(path: str, payload: Any) -> httpx.Response:
    """A POST to our program from outside, in this process."""

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(security.Guard(app()))
        async with httpx.AsyncClient(transport=transport, base_url="http://tocsin.test") as client:
            if isinstance(payload, bytes):
                return await client.post(path, content=payload)
            return await client.post(path, json=payload)

    return asyncio.run(send())


@pytest.mark.parametrize("at_once", [False, True])
def test_a_product_is_told_the_address_and_calls_it(
    database: object, drain: Drain, vendor: Vendor, at_once: bool
) -> None:
    assemble.load()
    ports.use(None)
    answers: list[httpx.Response] = []

    def scanned(call: Call) -> Answer:
        address = call.json["reply_to"]
        if at_once:
            answers.append(over_http(urlsplit(address).path, {"verdict": "clean"}))
        return Answer(
            201, {"queued": True, "reply_to": address, "escaped": json.dumps(address).replace("/", "\\/")}
        )

    vendor.answer("POST", "/scans", scanned)
    with unit_of_work() as uow:
        instances.create(
            uow, SYSTEM, connector="http", name="sandbox", settings={"base_url": vendor.url}, private=True
        )
        incident = lifecycle.open_by_hand(
            uow, SYSTEM, IncidentDraft(title="A strange file", severity=Severity.high)
        ).ref
    publish("""
      - id: send
        action: http.request
        with: {method: POST, path: /scans, json: {reply_to: "{{ callbacks.verdict }}"}}
      - {id: verdict, wait: {callback: true}, timeout: 1h}
      - {id: keep, set: {got: "{{ steps.verdict.output.verdict }}"}}
    """, actions=Catalogue())  # fmt: skip
    with unit_of_work() as uow:
        run = runs.start(uow, SYSTEM, playbook="p", subject=incident).id
    drain()
    (told,) = [call.json["reply_to"] for call in vendor.calls]
    assert told.startswith("http://tocsin.test/api/v1/runs/callbacks/")
    path = urlsplit(told).path
    if not at_once:
        assert over_http(path[:-1] + ("A" if path[-1] != "A" else "E"), {}).status_code == 404
        assert over_http(path.rpartition(".")[0] + ".hidden", {}).status_code == 404
        deep = over_http(path, b"[" * 30_000)
        assert (deep.status_code, "nested" in deep.text) == (422, True)
        answers.append(over_http(path, {"verdict": "clean"}))
    assert [(answer.status_code, answer.json()) for answer in answers] == [(200, {"run": str(run)})]
    drain()
    assert (run_of(run).state, run_of(run).variables) == ("succeeded", {"": {"got": "clean"}})
    again = over_http(path, {"verdict": "malicious"})
    assert (again.status_code, again.json()["detail"]) == (
        409,
        "This address works once, and it has been called already.",
    )
    proof = told.rpartition(".")[2]
    assert len(proof) == 22
    assert proof not in everything_kept(run, incident)
    assert f"{told.rpartition('.')[0]}.hidden" in everything_kept(run, incident)


def everything_kept(run: UUID, incident: Ref) -> str:
    """Whatever the database holds of a run, as one text."""
    with reading() as session:
        rows: list[Any] = [
            *session.scalars(select(ActionCall)),
            *session.scalars(select(StepAttempt)),
            *session.scalars(select(Wait)),
        ]
        kept = [str(vars(row)) for row in rows]
        kept += [f"{entry.body} {entry.data}" for entry in journal.entries(session, limit=200)]
        told = [entry.verb for entry in journal.entries(session, ref=Ref("run", str(run)), limit=200)]
    assert "step.called_back" in told
    return "\n".join(kept)


# ------------------------------------------------------------------------------------------------ when it comes


def test_a_call_is_heard_once(pretend: Pretend, go: Callable[[], int]) -> None:
    publish(SANDBOX)
    run = begin()
    go()
    assert pretend.asked[0][1]["inputs"]["text"].endswith(".hidden")
    finish(waits_of(run, "call")[0], "call", state="succeeded", output={})
    go()
    assert call_back(proven(run), {"verdict": "bad"}) == run
    with pytest.raises(Conflict, match="works once"):
        call_back(proven(run), {"verdict": "good"})
    go()
    assert run_of(run).variables == {"": {"got": "bad"}}
    with pytest.raises(Conflict, match="works once"):
        call_back(proven(run), {"verdict": "good"})


def test_a_call_before_its_step_waits_is_kept(pretend: Pretend, go: Callable[[], int]) -> None:
    publish(SANDBOX)
    run = begin()
    go()
    call_back(proven(run), {"verdict": "bad"})
    with pytest.raises(Conflict, match="works once"):
        call_back(proven(run), {"verdict": "good"})
    assert go() == 0
    finish(waits_of(run, "call")[0], "call", state="succeeded", output={})
    go()
    go()
    assert (run_of(run).state, run_of(run).variables) == ("succeeded", {"": {"got": "bad"}})


def test_a_call_that_comes_too_late_says_so(pretend: Pretend, go: Callable[[], int], clock: Any) -> None:
    publish(
        "- {id: verdict, wait: {callback: true}, timeout: 1h, on_error: continue}\n- {id: after, task: Look}"
    )
    run = begin()
    go()
    clock.advance(hours=1)
    go()
    assert attempts_of(run) == {"verdict": "failed", "after": "waiting"}
    with pytest.raises(Conflict, match="comes too late"):
        call_back(proven(run), {})
    finish(waits_of(run, "task")[0], "task", state="done", form={})
    go()
    with pytest.raises(Conflict, match="comes too late"):
        call_back(proven(run), {})


def begin_one() -> UUID:
    publish(SANDBOX)
    return begin()


def test_an_address_of_no_run_is_not_found(pretend: Pretend) -> None:
    token, letters = proven(begin_one()), "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    others = [token[:-1] + letter for letter in letters if letter != token[-1]]
    for token in (proven(new_id()), "guessed", "", *others):
        with pytest.raises(NotFound):
            call_back(token, {})


def test_a_run_that_was_taken_up_again_hears_the_calls_of_the_one_before(
    pretend: Pretend, go: Callable[[], int], clock: Any, people: Any
) -> None:
    publish("""
      - {id: verdict, wait: {callback: true}, timeout: 1h}
      - {id: second, wait: {callback: true}, timeout: 1h}
      - {id: keep, set: {got: "{{ steps.verdict.output.n + steps.second.output.n }}"}}
    """)
    run = begin()
    go()
    call_back(proven(run, "second"), {"n": 2})
    clock.advance(hours=1)
    go()
    assert run_of(run).state == "failed"
    with unit_of_work() as uow:
        again = runs.retry_step(uow, people.rita, run, "verdict").id
    go()
    assert call_back(proven(run), {"n": 1}) == again
    go()
    go()
    assert (run_of(again).state, run_of(again).variables) == ("succeeded", {"": {"got": 3}})


# ------------------------------------------------------------------------------------------------ addresses


def test_each_round_of_a_loop_has_its_own_address() -> None:
    plan = plan_of("""
      - id: each
        for_each: [a, b]
        concurrency: 2
        parallel:
          - {id: send, action: chat.post, with: {text: "{{ item }} {{ callbacks.back }}"}}
          - {id: back, wait: {callback: true}, timeout: 1h}
    """)
    run = start(plan)
    sent = [asked.perform.arguments["inputs"]["text"] for asked in run.asked]
    here = run.state.id
    assert sent == [
        f"{item} {callbacks.address(here, callbacks.place('each/1/back', str(n)))}"
        for n, item in enumerate("ab")
    ]
    waits = [wait.draft.ref for wait in run.state.waits if wait.draft.kind == "callback"]
    assert waits == [callbacks.ref(callbacks.place("each/1/back", str(n))) for n in range(2)]


def test_another_playbook_may_be_handed_an_address() -> None:
    plan = plan_of(
        "- {id: ask, playbook: other, with: {to: '{{ callbacks.back }}'}}\n- {id: back, wait: {callback: true}, timeout: 1h}",
        more="other:\n  inputs: {to: {type: string, required: true}}\n  steps:\n    - {id: send, action: chat.post, with: {text: '{{ inputs.to }}'}}\n",
    )
    run = start(plan)
    assert run.asked[0].perform.arguments["inputs"]["text"] == callbacks.address(
        run.state.id, callbacks.place("back", "")
    )


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        (
            "- {id: a, page: {policy: x, message: '{{ callbacks.back }}'}}",
            'callbacks.back may stand only in the "with" of an action',
        ),
        (
            "- {id: a, set: {x: '{{ callbacks.back }}'}}",
            'callbacks.back may stand only in the "with" of an action',
        ),
        (
            "- {id: a, action: chat.post, with: {text: '{{ callbacks.bakc }}'}}",
            'there is no wait "bakc" to call back; did you mean "back"?',
        ),
        (
            "- {id: a, action: chat.post, with: {text: '{{ callbacks.b }}'}}\n- {id: b, set: {x: 1}}",
            'step "b" (line',
        ),
        (
            "- {id: a, action: chat.post, with: {text: '{{ callbacks.b }}'}}\n- {id: b, for_each: [1], wait: {callback: true}}",
            "put a loop around both",
        ),
        ("- {id: a, when: 'callbacks.back == \"x\"', set: {x: 1}}", "callbacks"),
    ],
)
def test_only_waits_within_reach_can_be_told(steps: str, said: str) -> None:
    indented = "".join(
        f"      {line}\n" for line in [*steps.splitlines(), "- {id: back, wait: {callback: true}}"]
    )
    found = problems(f"version: 1\nplaybooks:\n  p:\n    steps:\n{indented}")
    assert any(said in one for one in found), found


def test_only_addresses_of_the_run_itself_are_made_whole(database: object) -> None:
    mine, other = new_id(), new_id()
    text = {
        "a": [
            callbacks.address(mine, callbacks.place("x", "")),
            callbacks.address(other, callbacks.place("x", "")),
            3,
            None,
        ]
    }
    whole = callbacks.proven(text, str(mine))
    assert whole["a"][1:] == text["a"][1:]
    assert whole["a"][0] != text["a"][0]
    assert callbacks.read(whole["a"][0].rpartition("/")[2]) == (mine, callbacks.place("x", ""))
    assert callbacks.hidden(whole) == text
    assert callbacks.hidden(f"cut {whole['a'][0][:-3]}") == f"cut {text['a'][0]}"
    assert callbacks.hidden("a.jwt.here 1.2.3") == "a.jwt.here 1.2.3"
