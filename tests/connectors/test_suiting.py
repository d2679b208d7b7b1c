"""Which products of a verb can be asked with some inputs, what each of them is handed, and what the guard rails judge."""

import pytest

from connectors import instances
from connectors.contract import Action, Effect
from connectors.declared import from_text
from connectors.instances import Target
from connectors.suiting import suit
from core.errors import Invalid

PRODUCT = """
connector: {name}
name: {name}
kind: edr
docs: https://toy.example/docs
actions:
  cut:
    title: Cut off
    verb: host.cut
    effect: {effect}
    input: {inputs}
    request: {{method: POST, path: /cut}}
    no_undo: It is a toy.
    instructions: Cut it off.
"""


def product(name: str, inputs: str, effect: str = "disruptive") -> Action:
    return from_text(PRODUCT.format(name=name, inputs=inputs, effect=effect), name, {}).actions["cut"]


BY_HOST = product("one", "{host: {required: true, entity: host}, note: {}}")
BY_NUMBER = product("two", "{number: {required: true}, user: {entity: user}}", "destructive")


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instances, "known", lambda _asked: (BY_HOST, BY_NUMBER))
    monkeypatch.setattr("connectors.suiting.registry.get", lambda _name: type("Product", (), {"kind": "edr"}))


def names(found: list[Target]) -> list[str]:
    return [one.action.connector for one in found]


BOTH = [Target(BY_HOST, None), Target(BY_NUMBER, None)]  # type: ignore[arg-type]  # which instance it is does not matter here


def test_what_any_of_them_takes_is_kept_and_everything_named_is_judged_by_what_changes_most(known: None) -> None:
    suited = suit("host.cut", "first", BOTH, {"host": "pc-7", "number": "12", "user": "ana"})
    assert names(suited.targets) == ["one", "two"]
    assert {name: suited.named.inputs[name] for name in ("host", "number", "user")} == {"host": "pc-7", "number": "12", "user": "ana"}
    assert [(one.type, one.value) for one in suited.named.entities] == [("host", "pc-7"), ("user", "ana")]
    assert suited.model.effect is Effect.destructive


def test_who_cannot_be_asked_like_this_is_passed_over_unless_all_are_meant(known: None) -> None:
    assert names(suit("host.cut", "first", BOTH, {"number": "12"}).targets) == ["two"]
    with pytest.raises(Invalid, match="host is missing"):
        suit("host.cut", "all", BOTH, {"number": "12"})
    with pytest.raises(Invalid, match="host is missing"):
        suit("host.cut", "first", BOTH, {"note": "x"})
    with pytest.raises(Invalid, match="hoste is not an input"):
        suit("host.cut", "first", BOTH, {"hoste": "pc-7"})


def test_without_a_product_it_is_read_as_the_first_that_could_would_read_it(known: None) -> None:
    suited = suit("host.cut", "first", [], {"number": "12"})
    assert (suited.targets, suited.model, suited.named.inputs) == ([], BY_NUMBER, {"number": "12", "user": None})
