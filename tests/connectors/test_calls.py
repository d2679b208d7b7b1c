"""Every outward effect: intended, called once, its outcome kept; and after a crash, found out rather than repeated."""

from datetime import timedelta
from uuid import uuid4

import httpx
import pytest
import respx

from connectors import calling, calls, execute, facts, instances, rails, settling
from connectors.calls import CallContext
from connectors.models import ActionCall
from core import journal
from core import leases, side_by_side
from core.actors import SYSTEM, Actor, ActorKind
from core.db import reading, unit_of_work
from core.errors import Conflict, Forbidden, Invalid, NotFound
from core.types import Ref

INCIDENT = Ref("incident", str(uuid4()))
PLAYBOOK = Actor(ActorKind.playbook, "run-1", "Suspicious login")
CTX = CallContext(PLAYBOOK, INCIDENT, run="run-1")
OKTA = "https://acme.okta.example"
SUSPEND = f"{OKTA}/api/v1/users/jo%40acme.example/lifecycle/suspend"
GET = f"{OKTA}/api/v1/users/jo%40acme.example"
USER = {"user": "jo@acme.example"}


class Killed(BaseException):
    """The process is gone."""


@pytest.fixture
def okta(database) -> str:
    with unit_of_work() as uow:
        instances.create(
            uow,
            SYSTEM,
            name="okta-eu",
            connector="okta",
            settings={"base_url": OKTA},
            secrets={"token": "s3cret-token"},
        )
    return "okta-eu"


@pytest.fixture
def vendor():
    with respx.mock(assert_all_called=False) as router:
        yield router


def ask(action="identity.disable_user", inputs=USER, *, ctx=CTX, key=None, **kwargs) -> ActionCall:
    with unit_of_work() as uow:
        return calls.request(uow, ctx, action, inputs, key=key or uuid4().hex, **kwargs)


def now(call: ActionCall) -> ActionCall:
    with reading() as session:
        return calls.get(session, call.id)


def verbs(ref: Ref) -> list[str]:
    with reading() as session:
        return [entry.verb for entry in reversed(journal.entries(session, ref=ref))]


def test_an_action_is_intended_called_and_told(okta, vendor, drain):
    sent = vendor.post(SUSPEND).respond(200, json={})
    call = ask()
    assert (call.state, call.action, call.instance) == ("intended", "okta.suspend_user", "okta-eu")
    assert not sent.called, "nothing is called in the transaction that asks"
    drain("connectors.calls")
    done = now(call)
    assert (done.state, done.tries, done.due_at) == ("succeeded", 1, None)
    assert sent.call_count == 1
    assert sent.calls[0].request.headers["authorization"] == "SSWS s3cret-token"
    assert done.request["url"] == SUSPEND
    assert "s3cret" not in str(done.request)
    assert verbs(Ref("call", str(call.id)))[:3] == ["action.intended", "action.attempted", "action.finished"]
    assert "action.finished" in verbs(Ref("run", "run-1"))
    assert "action.finished" in verbs(INCIDENT)


def test_the_same_key_is_the_same_call(okta, vendor, drain):
    sent = vendor.post(SUSPEND).respond(200, json={})
    first = ask(key="run-1/contain/1")
    drain("connectors.calls")
    assert ask(key="run-1/contain/1").id == first.id
    drain("connectors.calls")
    assert sent.call_count == 1


def test_what_is_read_comes_back_as_output(okta, vendor, drain):
    profile = {
        "id": "00u1",
        "status": "ACTIVE",
        "profile": {"login": "jo@acme.example", "email": "jo@acme.example"},
    }
    vendor.get(GET).respond(200, json=profile)
    call = ask("okta.get_user")
    drain("connectors.calls")
    assert now(call).output["status"] == "ACTIVE"
    vendor.get(GET).respond(404, json={"errorCode": "E0000007"})
    call = ask("okta.get_user")
    drain("connectors.calls")
    assert (now(call).state, now(call).output) == ("succeeded", {"found": False})


def test_what_the_product_refuses_has_failed_and_is_not_tried_again(okta, vendor, drain):
    sent = vendor.post(SUSPEND).respond(403, json={"errorSummary": "no permission s3cret-token"})
    call = ask()
    drain("connectors.calls")
    assert now(call).state == "failed"
    assert "answered 403" in now(call).note
    assert "s3cret" not in now(call).note
    assert sent.call_count == 1


def test_what_surely_did_not_happen_is_tried_again_when_the_product_says(okta, vendor, drain, clock):
    sent = vendor.post(SUSPEND).mock(
        side_effect=[httpx.Response(429, headers={"Retry-After": "30"}), httpx.Response(200)]
    )
    call = ask()
    drain("connectors.calls")
    assert now(call).state == "intended"
    clock.advance(seconds=29)
    assert drain("connectors.calls") == 0
    clock.advance(seconds=2)
    drain("connectors.calls")
    assert (now(call).state, sent.call_count) == ("succeeded", 2)


def test_tries_come_to_an_end(okta, vendor, drain, clock):
    sent = vendor.post(SUSPEND).mock(side_effect=httpx.ConnectError("refused"))
    call = ask(attempts=3)
    for _ in range(6):
        drain("connectors.calls")
        clock.advance(minutes=10)
    assert (now(call).state, sent.call_count) == ("failed", 3)


def test_an_answer_that_tells_nothing_is_followed_by_a_question(okta, vendor, drain, clock):
    sent = vendor.post(SUSPEND).mock(side_effect=httpx.ReadTimeout("slow"))
    asked = vendor.get(GET).respond(200, json={"status": "SUSPENDED"})
    call = ask()
    for _ in range(3):
        drain("connectors.calls")
        clock.advance(minutes=2)
    assert (now(call).state, sent.call_count) == ("succeeded", 1)
    assert asked.called


def test_what_the_product_says_did_not_happen_is_done_then(okta, vendor, drain, clock):
    sent = vendor.post(SUSPEND).mock(side_effect=[httpx.ReadTimeout("slow"), httpx.Response(200)])
    vendor.get(GET).respond(200, json={"status": "ACTIVE"})
    call = ask()
    for _ in range(3):
        drain("connectors.calls")
        clock.advance(minutes=2)
    assert (now(call).state, sent.call_count) == ("succeeded", 2)


def test_a_product_that_never_answers_the_question_leaves_it_to_a_person(okta, vendor, drain, clock):
    sent = vendor.post(SUSPEND).mock(side_effect=httpx.ReadTimeout("slow"))
    vendor.get(GET).mock(side_effect=httpx.ConnectError("away"))
    call = ask()
    for _ in range(12):
        drain("connectors.calls")
        clock.advance(minutes=5)
    assert (now(call).state, sent.call_count) == ("unknown", 1)
    assert verbs(Ref("call", str(call.id)))[-2:] == ["action.unknown", "action.finished"]
    with reading() as session:
        assert [row.id for row in calls.aside(session)] == [call.id]
    with unit_of_work() as uow:
        settling.settle(uow, SYSTEM, call.id, True, "I saw it in the console.")
    assert now(call).state == "succeeded"
    assert "action.settled" in verbs(Ref("call", str(call.id)))
    with pytest.raises(Conflict), unit_of_work() as uow:
        settling.settle(uow, SYSTEM, call.id, False, "no")


def test_the_next_product_is_asked_with_defaults_of_its_own(okta, vendor, drain):
    with unit_of_work() as uow:
        instances.create(
            uow, SYSTEM, name="entra", connector="microsoft365", settings={"tenant": "t", "client_id": "c"},
            secrets={"client_secret": "s3cret-value"},
        )  # fmt: skip
    vendor.post("https://login.microsoftonline.com/t/oauth2/v2.0/token").respond(json={"access_token": "x"})
    refused = vendor.post(url__regex=r"https://graph\.microsoft\.com/.*/revokeSignInSessions").respond(403)
    ended = vendor.delete(f"{GET}/sessions", params={"oauthTokens": "true"}).respond(204)
    call = ask("identity.revoke_sessions")
    drain("connectors.calls")
    assert (now(call).state, now(call).instance) == ("succeeded", "okta-eu")
    assert (refused.call_count, ended.call_count) == (1, 1)


ENTRA = {"settings": {"tenant": "t", "client_id": "c"}, "secrets": {"client_secret": "s3cret-value"}}


def two_that_end_sessions(vendor, mode="first"):
    """Microsoft 365, which takes the user alone, then Okta, which takes `oauth_tokens` too: what each of them was sent."""
    with unit_of_work() as uow:
        instances.create(uow, SYSTEM, name="entra", connector="microsoft365", **ENTRA)
        instances.bind(uow, SYSTEM, "identity.revoke_sessions", ["entra", "okta-eu"], mode)
    vendor.post("https://login.microsoftonline.com/t/oauth2/v2.0/token").respond(json={"access_token": "x"})
    entra = vendor.post(url__regex=r"https://graph\.microsoft\.com/.*/revokeSignInSessions")
    return entra, vendor.delete(f"{GET}/sessions", params={"oauthTokens": "false"}).respond(204)


@pytest.mark.parametrize("mode", ["first", "all"])
def test_each_product_of_a_verb_is_asked_with_the_inputs_that_it_takes(okta, vendor, drain, mode):
    entra, ended = two_that_end_sessions(vendor, mode)
    entra.respond(403 if mode == "first" else 200, json={})
    call = ask("identity.revoke_sessions", USER | {"oauth_tokens": False})
    drain("connectors.calls")
    assert (now(call).state, entra.call_count, ended.call_count) == ("succeeded", 1, 1)
    assert now(call).entities == [["user", "jo@acme.example"]]
    with pytest.raises(Invalid, match="everywhere is not an input"):
        ask("identity.revoke_sessions", USER | {"everywhere": True})


def test_what_was_held_goes_on_with_what_each_product_takes(okta, vendor, drain):
    entra, ended = two_that_end_sessions(vendor)
    entra.respond(403)
    with unit_of_work() as uow:
        rails.hold_all(uow, SYSTEM, "A drill")
    call = ask("identity.revoke_sessions", USER | {"oauth_tokens": False})
    assert now(call).state == "held"
    with unit_of_work() as uow:
        rails.release_all(uow, SYSTEM)
        settling.resume(uow, SYSTEM, call.id)
    drain("connectors.calls")
    assert (now(call).state, ended.call_count) == ("succeeded", 1)


def test_of_calls_that_are_made_side_by_side_one_that_goes_wrong_stops_no_other(
    okta, vendor, drain, clock, monkeypatch
):
    sent = vendor.post(SUSPEND).respond(200, json={})
    vendor.get(GET).respond(200, json={"status": "ACTIVE"})
    good = [ask(key=f"good-{n}") for n in range(3)]
    bad = ask(key="bad")
    perform = execute.perform

    def sometimes(action, product, inputs, key, ports=None):
        if key == "bad":
            raise RuntimeError("a mistake of ours")
        return perform(action, product, inputs, key, ports)

    monkeypatch.setattr(execute, "perform", sometimes)
    assert drain("connectors.calls") == 4
    assert ([now(call).state for call in good], sent.call_count) == (["succeeded"] * 3, 3)
    assert (now(bad).state, "a mistake of ours" in (now(bad).error or "")) == ("calling", True)
    monkeypatch.setattr(execute, "perform", perform)
    clock.advance(minutes=2)
    drain("connectors.calls")
    assert (now(bad).state, sent.call_count) == ("succeeded", 4), "it was asked about, and had not happened"


def test_outcomes_that_cannot_be_written_together_are_written_one_by_one(okta, vendor, drain, monkeypatch):
    sent = vendor.post(SUSPEND).respond(200, json={})
    made = [ask(key=f"call-{n}") for n in range(3)]
    write = calling._write

    def together_fails(uow, told):
        write(uow, told)
        if len(told) > 1:
            raise RuntimeError("not all at once")

    monkeypatch.setattr(calling, "_write", together_fails)
    monkeypatch.setattr(side_by_side, "NEXT", 1.0)
    monkeypatch.setattr(side_by_side, "GATHER", 1.0)
    drain("connectors.calls")
    assert ([now(call).state for call in made], sent.call_count) == (["succeeded"] * 3, 3)


# ------------------------------------------------------------------------------------------------ crashes


def crash(monkeypatch, place: str, drain) -> None:
    """Die at a point of the protocol, as by kill -9: nothing is cleaned up."""

    def dies(*args, **kwargs):
        raise Killed

    module, name = {
        "before the call is committed": (calling.calls, "tell"),
        "after the commit, before the call": (calling, "_do"),
        "after the call, before the outcome": (calling, "_write"),
    }[place]
    with monkeypatch.context() as patched:
        patched.setattr(module, name, dies)
        with pytest.raises(Killed):
            drain("connectors.calls")


def test_dying_before_the_call_is_committed_changes_nothing(okta, vendor, drain, clock, monkeypatch):
    sent = vendor.post(SUSPEND).respond(200)
    call = ask()
    crash(monkeypatch, "before the call is committed", drain)
    assert now(call).state == "intended"
    clock.advance(minutes=2)
    drain("connectors.calls")
    assert (now(call).state, sent.call_count) == ("succeeded", 1)


@pytest.mark.parametrize(("place", "called"), [
    ("after the commit, before the call", 0), ("after the call, before the outcome", 1),
])  # fmt: skip
@pytest.mark.parametrize("happened", [True, False])
def test_dying_around_the_call_asks_the_product(
    okta, vendor, drain, clock, monkeypatch, place, called, happened
):
    sent = vendor.post(SUSPEND).respond(200)
    vendor.get(GET).respond(200, json={"status": "SUSPENDED" if happened else "ACTIVE"})
    call = ask()
    crash(monkeypatch, place, drain)
    assert (now(call).state, sent.call_count) == ("calling", called)
    assert drain("connectors.calls") == 0, "the lease of the dead worker still runs"
    clock.advance(minutes=2)
    drain("connectors.calls")
    assert now(call).state == "succeeded"
    assert sent.call_count == called + (0 if happened else 1)


@pytest.mark.parametrize("arrives", [True, False])
def test_what_was_begun_may_still_arrive_so_it_is_not_called_again_at_once(
    okta, vendor, drain, clock, monkeypatch, arrives
):
    sent = vendor.post(SUSPEND).respond(200)
    vendor.get(GET).respond(200, json={"status": "ACTIVE"})
    call = ask()
    crash(monkeypatch, "after the commit, before the call", drain)
    clock.advance(seconds=22)  # the lease has ended; a request of 30 seconds may still be under way
    drain("connectors.calls")
    assert (now(call).state, sent.call_count) == ("calling", 0)
    assert "may still be on its way" in now(call).note
    vendor.get(GET).respond(200, json={"status": "SUSPENDED" if arrives else "ACTIVE"})
    clock.advance(seconds=10)
    drain("connectors.calls")
    assert (now(call).state, sent.call_count) == ("succeeded", 0 if arrives else 1)


def test_dying_around_a_call_that_cannot_be_asked_about_is_left_to_a_person(
    database, vendor, drain, clock, monkeypatch
):
    with unit_of_work() as uow:
        instances.create(uow, SYSTEM, name="chat", connector="slack", secrets={"token": "xoxb-1234"})
    sent = vendor.post("https://slack.com/api/chat.postMessage").respond(
        200, json={"ok": True, "ts": "1.2", "channel": "C1"}
    )
    call = ask("slack.post_message", {"channel": "C1", "text": "hello"})
    crash(monkeypatch, "after the call, before the outcome", drain)
    clock.advance(minutes=2)
    drain("connectors.calls")
    assert (now(call).state, sent.call_count) == ("unknown", 1)


def test_dying_around_an_idempotent_call_repeats_it(okta, vendor, drain, clock, monkeypatch):
    sent = vendor.delete(f"{GET}/sessions").respond(204)
    call = ask("okta.clear_sessions")
    crash(monkeypatch, "after the call, before the outcome", drain)
    clock.advance(minutes=2)
    drain("connectors.calls")
    assert (now(call).state, sent.call_count) == ("succeeded", 2)
    assert sent.calls[0].request.url.params["oauthTokens"] == "true"


def test_a_worker_that_was_thought_dead_cannot_write_over_its_successor(
    okta, vendor, drain, clock, monkeypatch
):
    vendor.get(GET).respond(200, json={"status": "SUSPENDED"})
    seen = []

    def slow(request):
        if not seen:
            seen.append(request)
            clock.advance(minutes=2)  # our lease runs out while the product thinks
            with monkeypatch.context() as elsewhere:  # in another process, which has none of this in hand
                elsewhere.setattr(leases, "in_hand", lambda _kind: [])
                drain("connectors.calls")  # another worker takes over, and asks
        return httpx.Response(500)

    vendor.post(SUSPEND).mock(side_effect=slow)
    call = ask()
    drain("connectors.calls")
    assert now(call).state == "succeeded"


# ------------------------------------------------------------------------------------------------ rails and bindings


def test_refused_held_and_rehearsed_calls_never_reach_the_product(okta, vendor, drain):
    sent = vendor.post(SUSPEND).respond(200)
    with unit_of_work() as uow:
        rails.protect(uow, SYSTEM, kind="user", value="jo*", reason="the chief executive")
    refused = ask()
    assert refused.state == "refused"
    assert "jo@acme.example is protected: the chief executive." in refused.note.replace("[.]", ".").replace(
        "[@]", "@"
    )
    with reading() as session:
        (row,) = rails.protected(session)
    with unit_of_work() as uow:
        rails.unprotect(uow, SYSTEM, row.id)
    assert ask(ctx=CallContext(PLAYBOOK, INCIDENT, trust="low")).state == "refused"
    rehearsed = ask(ctx=CallContext(PLAYBOOK, INCIDENT, dry_run=True))
    assert (rehearsed.state, rehearsed.request["url"]) == ("dry_run", SUSPEND)
    with unit_of_work() as uow:
        rails.hold_all(uow, SYSTEM, "something is wrong")
    held = ask()
    assert held.state == "held"
    drain("connectors.calls")
    assert not sent.called
    with pytest.raises(Conflict, match="release that first"), unit_of_work() as uow:
        settling.resume(uow, SYSTEM, held.id)
    with unit_of_work() as uow:
        rails.release_all(uow, SYSTEM)
        settling.resume(uow, SYSTEM, held.id)
    drain("connectors.calls")
    assert (now(held).state, sent.call_count) == ("succeeded", 1)


def test_the_switch_also_stops_what_was_intended_before_it(okta, vendor, drain):
    sent = vendor.post(SUSPEND).respond(200)
    call = ask()
    with unit_of_work() as uow:
        rails.hold_all(uow, SYSTEM, "stop")
    drain("connectors.calls")
    assert now(call).state == "held"
    assert not sent.called


def test_a_budget_is_counted(okta, vendor, drain):
    with unit_of_work() as uow:
        rails.set_budget(uow, SYSTEM, "identity.disable_user", 2)
    states = [ask(inputs={"user": f"u{n}@acme.example"}).state for n in range(3)]
    assert states == ["intended", "intended", "refused"]
    by_person = CallContext(PLAYBOOK, INCIDENT, approved_by=("ann",))
    assert ask(inputs={"user": "u9@acme.example"}, ctx=by_person).state == "intended"


def test_without_a_product_a_person_must(database):
    call = ask()
    assert call.state == "unbound"
    assert "jo@acme.example" in call.output["instructions"]
    with pytest.raises(NotFound), unit_of_work() as uow:
        calls.request(uow, CTX, "identity.disable_usr", USER, key="x")


def test_a_verb_is_done_by_the_first_that_can(okta, vendor, drain, clock):
    other = "https://other.okta.example"
    with unit_of_work() as uow:
        instances.create(
            uow,
            SYSTEM,
            name="okta-us",
            connector="okta",
            settings={"base_url": other},
            secrets={"token": "t2t2"},
        )
        instances.bind(uow, SYSTEM, "identity.disable_user", ["okta-us", "okta-eu"])
    first = vendor.post(f"{other}/api/v1/users/jo%40acme.example/lifecycle/suspend").respond(404)
    second = vendor.post(SUSPEND).respond(200)
    call = ask()
    for _ in range(3):
        drain("connectors.calls")
    assert (now(call).state, now(call).instance) == ("succeeded", "okta-eu")
    assert first.called
    assert second.called


def test_a_verb_is_done_by_all_and_told_once(okta, vendor, drain):
    other = "https://other.okta.example"
    with unit_of_work() as uow:
        instances.create(
            uow,
            SYSTEM,
            name="okta-us",
            connector="okta",
            settings={"base_url": other},
            secrets={"token": "t2t2"},
        )
        instances.bind(uow, SYSTEM, "identity.disable_user", ["okta-us", "okta-eu"], "all")
    vendor.post(f"{other}/api/v1/users/jo%40acme.example/lifecycle/suspend").respond(200)
    vendor.post(SUSPEND).respond(403)
    call = ask()
    drain("connectors.calls")
    done = now(call)
    assert done.state == "failed"
    assert [(r["instance"], r["ok"]) for r in done.output["results"]] == [
        ("okta-us", True),
        ("okta-eu", False),
    ]
    assert verbs(Ref("call", str(call.id))) == ["action.intended", "action.finished"]


def test_who_may_not_run_actions_cannot_ask(okta):
    nobody = Actor(ActorKind.person, str(uuid4()), "Nobody")
    with pytest.raises(Forbidden):
        ask(ctx=CallContext(nobody, INCIDENT))


def test_accounts_are_never_given_back_by_a_timer(okta):
    with pytest.raises(Invalid, match="review_after"):
        ask(undo_after=timedelta(hours=24))


def test_settings_secrets_and_health(okta, vendor):
    with pytest.raises(Invalid) as told, unit_of_work() as uow:
        instances.create(
            uow, SYSTEM, name="x", connector="okta", settings={"base_url": "nonsense", "colour": "red"}
        )
    assert {problem.path for problem in told.value.problems} == {"base_url", "colour", "token"}
    with reading() as session:
        row = instances.get(session, okta)
        assert "s3cret" not in (row.sealed or "")
        assert instances.product_of(row).secrets == {"token": "s3cret-token"}
    with unit_of_work() as uow:
        instances.change(uow, SYSTEM, okta, settings={"base_url": f"{OKTA}/"})
    with reading() as session:
        assert instances.product_of(instances.get(session, okta)).secrets == {"token": "s3cret-token"}
    vendor.get(url__startswith=OKTA).respond(401, json={"errorSummary": "Invalid token provided"})
    assert instances.check(okta).health == "failing"
    vendor.get(url__startswith=OKTA).respond(200, json={})
    assert instances.check(okta).health == "ok"
    assert facts.CONNECTOR_CHECKED.name in verbs(Ref("connector", str(row.id)))


def test_outputs_are_bounded():
    made = execute.bounded(
        {"text": "x" * 10_000, "list": list(range(10_000)), "nul": "a\x00b", "bad": "\ud800"}
    )
    assert len(made["text"]) == 4000
    assert len(made["list"]) == 500
    assert "\x00" not in made["nul"]
    made["bad"].encode()
