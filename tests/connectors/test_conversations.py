"""Every action of the catalogue speaks with its product as the product's documentation says, and knows what failed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
import respx
import yaml

from connectors import execute, guards, registry
from connectors.contract import ActionFailed, Effect
from connectors.products import Product
from core.errors import Invalid
from core.net.auth import tokens
from core.settings import Settings, configure

FOLDER = Path(__file__).parent / "conversations"
SECRET = "s3cret-value"
LOGINS = ("/oauth2/v2.0/token", "/oauth2/token", "/security/user/authenticate")


@dataclass(frozen=True)
class Talk:
    """What is asked of a product, what must be sent for it, what is answered, and what must be understood."""

    product: str
    settings: Mapping[str, Any]
    action: str
    inputs: Mapping[str, Any]
    exchanges: list[Mapping[str, Any]]
    output: Mapping[str, Any]
    probe: Mapping[str, list[Any]]

    @property
    def name(self) -> str:
        return f"{self.product}.{self.action}"


def talks() -> Iterator[Talk]:
    """Every conversation on file."""
    for path in sorted(FOLDER.glob("*.yaml")):
        told = yaml.safe_load(path.read_text(encoding="utf-8"))
        for one in told["talks"]:
            yield Talk(
                path.stem,
                told["settings"],
                one["action"],
                one.get("inputs", {}),
                one["exchanges"],
                one.get("output", {}),
                one.get("probe", {}),
            )


def product_of(talk: Talk) -> Product:
    connector = registry.get(talk.product)
    return Product(connector, dict(talk.settings), {field.name: SECRET for field in connector.secrets})


ALL = list(talks())


class Vendor:
    """Answers the exchanges of a talk in their order; at `failing`, what a vendor answers on a bad day instead."""

    def __init__(
        self,
        talk: Talk,
        failing: int | None = None,
        bad: httpx.Response | Exception | None = None,
        *,
        checking: bool = True,
    ) -> None:
        self.talk, self.failing, self.bad, self.checking = talk, failing, bad, checking
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith(LOGINS):
            token = {"access_token": "t0ken", "expires_in": 3600, "data": {"token": "t0ken"}}
            return httpx.Response(200, json=token)
        place = len(self.asked)
        self.asked.append(request)
        assert place < len(self.talk.exchanges), f"not expected any more: {request.method} {request.url}"
        if place == self.failing and self.bad is not None:
            if isinstance(self.bad, Exception):
                raise self.bad
            return self.bad
        told = self.talk.exchanges[place]
        if self.checking:
            sent(request, told)
        return httpx.Response(told.get("status", 200), json=told.get("answer"), headers=told.get("headers"))


def sent(request: httpx.Request, told: Mapping[str, Any]) -> None:
    """The request is what the exchange says it must be."""
    method, _, path = told["ask"].partition(" ")
    assert (request.method, request.url.raw_path.decode().partition("?")[0]) == (method, path)
    assert dict(parse_qsl(request.url.query.decode())) == told.get("query", {})
    body = request.content.decode()
    if "json" in told:
        assert json.loads(body) == told["json"]
    if "form" in told:
        assert dict(parse_qsl(body)) == told["form"]
    for words in told.get("says", ()):
        assert words in json.loads(body)["Query"], body


@pytest.fixture(autouse=True)
def alone(tmp_path: Path) -> Iterator[None]:
    configure(Settings(data_dir=tmp_path, database_url="sqlite://", secret_key=b"x" * 40))
    tokens._tokens.clear()
    yield
    tokens._tokens.clear()


def answer(talk: Talk, vendor: Vendor) -> execute.Answer:
    """The answer as the door would get it: the inputs are judged, and the request shown, before anything is sent."""
    product = product_of(talk)
    action = product.connector.actions[talk.action]
    inputs = guards.read_inputs(action, talk.inputs).inputs
    shown = execute.show(action, product, inputs, "key-1")
    assert SECRET not in json.dumps(shown)
    assert not vendor.asked, "what is shown is not sent"
    with respx.mock(assert_all_called=False) as router:
        router.route().mock(side_effect=vendor)
        return execute.perform(action, product, inputs, "key-1")


def outcome(talk: Talk, vendor: Vendor) -> execute.Answer | ActionFailed:
    try:
        return answer(talk, vendor)
    except ActionFailed as failed:
        return failed


@pytest.mark.parametrize("talk", ALL, ids=lambda talk: talk.name)
def test_what_is_sent_and_understood(talk: Talk) -> None:
    vendor = Vendor(talk)
    got = answer(talk, vendor)
    assert len(vendor.asked) == len(talk.exchanges)
    assert {name: got.output.get(name) for name in talk.output} == talk.output
    assert SECRET not in json.dumps(got.kept)
    assert "AKIA" not in json.dumps([got.kept, got.output])


@pytest.mark.parametrize(
    "bad",
    [
        httpx.Response(403, text=f"no {SECRET}"),
        httpx.Response(404, text=f"no {SECRET}"),
        httpx.Response(429, headers={"Retry-After": "30"}),
        httpx.Response(500, text=f"oops {SECRET}"),
        httpx.ReadTimeout("silence"),
        httpx.ConnectError("away"),
    ],
    ids=["refused", "absent", "too many", "broken", "hanging", "away"],
)
@pytest.mark.parametrize("talk", ALL, ids=lambda talk: talk.name)
def test_what_failed_is_known(talk: Talk, bad: httpx.Response | Exception) -> None:
    """Whatever fails before the last request, or only reads, has surely changed nothing."""
    action = product_of(talk).connector.actions[talk.action]
    status = bad.status_code if isinstance(bad, httpx.Response) else 0
    unanswered = status == 500 or isinstance(bad, httpx.ReadTimeout)
    for place in range(len(talk.exchanges)):
        acting = place == len(talk.exchanges) - 1 and action.effect is not Effect.read
        came = outcome(talk, Vendor(talk, place, bad))
        if isinstance(came, execute.Answer):
            assert status == 404, "it failed, and nobody was told"
            assert acting or came.output == {"found": False}
            continue
        assert came.done is (None if acting and unanswered else False)
        assert came.retryable is (status in (0, 429, 500))
        assert SECRET not in came.message
        assert came.fields.get("retry_after") == (30.0 if status == 429 else None)


@pytest.mark.parametrize("name", ["remove_factor", "revoke_grant"])
@pytest.mark.parametrize("product", ["microsoft365", "okta"])
def test_what_is_not_there_is_not_called_removed(product: str, name: str) -> None:
    """A mistyped id removes nothing, and says so; what goes away between the look and the removal is gone."""
    (talk,) = [one for one in ALL if (one.product, one.action) == (product, name)]
    absent, last = httpx.Response(404), len(talk.exchanges) - 1
    vendor = Vendor(talk, last - 1, absent)
    came = outcome(talk, vendor)
    assert isinstance(came, ActionFailed)
    assert (came.code, came.done, "list them again" in came.message) == ("not_there", False, True)
    assert "DELETE" not in {request.method for request in vendor.asked}
    assert isinstance(outcome(talk, Vendor(talk, last, absent)), execute.Answer)


@pytest.mark.parametrize("owner", ["7d54cb03", None], ids=["somebody else", "everybody"])
def test_only_a_consent_of_the_named_user_is_revoked(owner: str | None) -> None:
    (talk,) = [one for one in ALL if one.name == "microsoft365.revoke_grant"]
    vendor = Vendor(talk, 1, httpx.Response(200, json={"id": "E3NHhUPqfUy4pFT", "principalId": owner}))
    came = outcome(talk, vendor)
    assert isinstance(came, ActionFailed)
    assert "jo@acme.example has given no consent" in came.message
    assert [request.method for request in vendor.asked] == ["GET", "GET"]


@pytest.mark.parametrize(
    ("base_url", "host", "asked"),
    [
        (None, "github.com", True),
        (None, "GitHub.com", True),
        (None, "github.example.com", False),
        (None, "github.com@evil.example", False),
        (None, "github.com:8443", False),
        ("https://github.example.com/api/v3", "github.example.com", True),
        ("https://github.example.com/api/v3", "github.com", False),
        ("https://api.acme.ghe.com", "acme.ghe.com", True),
    ],
)
def test_only_the_server_of_the_alert_is_asked_about_it(base_url: str | None, host: str, asked: bool) -> None:
    """Elsewhere a repository of the same name is another one, and its alert of that number tells nothing."""
    talk = next(one for one in ALL if one.name == "github.get_secret_alert")
    path = "example-org/billing/security/secret-scanning/17"
    settings = {"base_url": base_url} if base_url else {}
    talk = replace(talk, settings=settings, inputs={"link": f"https://{host}/{path}"})
    product = product_of(talk)
    action = product.connector.actions[talk.action]
    vendor = Vendor(talk, checking=False)
    with respx.mock(assert_all_called=False) as router:
        router.route().mock(side_effect=vendor)
        if asked:
            assert execute.perform(action, product, talk.inputs, "key-1").output["valid"] is True
        for ask in () if asked else (execute.show, execute.perform):
            with pytest.raises(ActionFailed, match="this product is another server") as failed:
                ask(action, product, talk.inputs, "key-1")
            assert failed.value.done is False
    assert len(vendor.asked) == asked


@pytest.mark.parametrize("query", ["<<>>", "<< >>", "   "])
@pytest.mark.parametrize("name", ["search_mail", "purge_mail", "restore_mail"])
def test_a_mail_is_not_searched_for_by_nothing(name: str, query: str) -> None:
    """What is empty without its angle brackets would fit every mail without a sender."""
    action = registry.get("microsoft365").actions[name]
    with pytest.raises(Invalid):
        guards.read_inputs(action, {"query": query})
    assert guards.read_inputs(action, {"query": "<a@b>"}).inputs["query"] == "<a@b>"


@pytest.mark.parametrize("holds", [True, False], ids=["holds", "does not hold"])
@pytest.mark.parametrize("talk", [talk for talk in ALL if talk.probe], ids=lambda talk: talk.name)
def test_whether_it_holds_is_asked_and_understood(talk: Talk, holds: bool) -> None:
    product = product_of(talk)
    action = product.connector.actions[talk.action]
    told = talk.probe["holds" if holds else "fails"]
    exchanges = [{"status": 404} if one == {"status": 404} else {"answer": one} for one in told]
    vendor = Vendor(replace(talk, exchanges=exchanges), checking=False)
    with respx.mock(assert_all_called=False) as router:
        router.route().mock(side_effect=vendor)
        assert execute.probe(action, product, guards.read_inputs(action, talk.inputs).inputs, {}) is holds
    assert len(vendor.asked) == len(exchanges)


@pytest.mark.parametrize(
    "talk",
    [one for one in ALL if product_of(one).connector.actions[one.action].undo],
    ids=lambda talk: talk.name,
)
def test_what_takes_it_back_can_be_asked(talk: Talk) -> None:
    """The inputs of the undo, made of what was asked and answered, are such as that action takes."""
    product = product_of(talk)
    action = product.connector.actions[talk.action]
    assert action.undo is not None
    other = product.connector.actions[action.undo.action]
    inputs = guards.read_inputs(action, talk.inputs).inputs
    given = execute.inputs_from(action.undo.inputs, other, inputs, talk.output, product)
    back = guards.read_inputs(other, {name: value for name, value in given.items() if value is not None})
    assert execute.show(other, product, back.inputs, "key-1")["url"]


def test_every_probe_is_tried_both_ways() -> None:
    tried = {talk.name for talk in ALL if set(talk.probe) == {"holds", "fails"}}
    declared = {one.full_name for one in registry.actions().values() if one.probe and one.request is not None}
    assert declared - tried == set()


def test_every_action_of_a_product_has_its_conversation() -> None:
    told = {talk.name for talk in ALL}
    outside = {action.full_name for action in registry.actions().values() if action.request is not None}
    assert outside - told == set(), "each gets a conversation after its vendor's documentation"
