"""How we prove who we are: each kind as the product sees it, and tokens kept and renewed."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest
import respx

from core import clock
from core.errors import Invalid
from core.net import Egress, LoginRefused, NetFailed, NetTimeout
from core.net.auth import Auth, build, fields_of, kinds, tokens
from core.net.http import Request, send

OPEN = Egress()
URL = "https://product.example/api"


@pytest.fixture(autouse=True)
def _no_tokens() -> Iterator[None]:
    tokens._tokens.clear()
    yield
    tokens._tokens.clear()


def made(kind: str, **settings: object) -> Auth:
    auth = build(kind, settings)
    assert auth is not None
    return auth


def signed(kind: str, request: Request | None = None, **settings: object) -> Request:
    return made(kind, **settings).sign(request or Request(url=URL), OPEN)


def test_simple_kinds() -> None:
    assert build("none", {}) is None
    assert (
        signed("basic", username="é", password="p").headers["Authorization"]
        == "Basic " + base64.b64encode("é:p".encode()).decode()
    )
    assert signed("bearer", token="t").headers["Authorization"] == "Bearer t"
    assert signed("bearer", token="t", prefix="SSWS ").headers["Authorization"] == "SSWS t"
    assert signed("api_key", name="X-Key", key="k").headers == {"X-Key": "k"}
    assert signed("api_key", name="key", key="k", place="query").full_url() == f"{URL}?key=k"
    assert signed("mtls", certificate="c", key="k").tls.certificate == "c"
    replaced = signed("bearer", Request(url=URL, headers={"authorization": "old"}), token="t")
    assert replaced.headers == {"Authorization": "Bearer t"}


def test_settings_are_checked_and_secrets_stay_out_of_sight() -> None:
    assert {"none", "basic", "bearer", "api_key", "oauth2_client", "login_jwt", "session", "hmac", "sigv4", "mtls"} == {
        *kinds(), "none",
    }  # fmt: skip
    assert [(field.name, field.required, field.secret) for field in fields_of("basic")] == [
        ("username", True, False), ("password", True, True),
    ]  # fmt: skip
    for kind, settings, sentence in (
        ("baisc", {}, 'did you mean "basic"?'),
        ("bearer", {"tokn": "s3cret"}, 'did you mean "token"?'),
        ("bearer", {"token": ""}, 'needs "token"'),
        ("api_key", {"name": "x", "key": "y", "place": "body"}, "header or query"),
        ("hmac", {"secret": "x", "algorithm": "md5"}, "sha256"),
    ):
        with pytest.raises(Invalid) as caught:
            build(kind, settings)
        assert sentence in str(caught.value)
        assert "s3cret" not in str(caught.value)
    for name in kinds():
        settings = {
            field.name: "s3cret" if field.secret else "x" for field in fields_of(name) if field.required
        }
        assert "s3cret" not in repr(build(name, settings))


@respx.mock
def test_an_oauth2_token_is_kept_and_renewed_once_on_401() -> None:
    login = respx.post("https://login.example/token").mock(
        side_effect=[
            httpx.Response(201, json={"access_token": f"t{n}", "expires_in": 3600}) for n in range(9)
        ]
    )
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"])
        return httpx.Response(401 if seen[-1] == "Bearer t0" and len(seen) > 1 else 200)

    respx.get(URL).mock(side_effect=answer)
    settings = {
        "token_url": "https://login.example/token",
        "client_id": "id",
        "client_secret": "s&cret",
        "scope": "a b",
    }
    assert send(Request(url=URL), auth=made("oauth2_client", **settings), egress=OPEN).status == 200
    assert (
        login.calls[0].request.content
        == b"grant_type=client_credentials&scope=a+b&client_id=id&client_secret=s%26cret"
    )
    assert send(Request(url=URL), auth=made("oauth2_client", **settings), egress=OPEN).status == 200
    assert seen == ["Bearer t0", "Bearer t0", "Bearer t1"]
    assert login.call_count == 2


@respx.mock
def test_a_token_refused_for_good_is_asked_for_once_more_only() -> None:
    login = respx.post("https://login.example/token").respond(json={"access_token": "t", "expires_in": 60})
    respx.get(URL).respond(401)
    auth = made(
        "oauth2_client",
        token_url="https://login.example/token",
        client_id="a",
        client_secret="b",
        send_as="basic",
    )
    assert send(Request(url=URL), auth=auth, egress=OPEN).status == 401
    assert login.call_count == 2
    assert login.calls[0].request.headers["authorization"].startswith("Basic ")


@respx.mock
def test_a_jwt_login_as_wazuh_wants_it() -> None:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": 4102444800}).encode()).decode().rstrip("=")
    login = respx.post("https://wazuh.example:55000/security/user/authenticate").respond(
        json={"data": {"token": f"h.{claims}.s"}}
    )
    respx.get(URL).respond(200)
    auth = made("login_jwt", url="https://wazuh.example:55000/security/user/authenticate", username="u", password="p",
                token_path="data.token")  # fmt: skip
    for _ in range(3):
        send(Request(url=URL), auth=auth, egress=OPEN)
    assert login.call_count == 1
    assert respx.calls.last.request.headers["authorization"] == f"Bearer h.{claims}.s"


@respx.mock
def test_a_session_sends_its_cookies_and_csrf_token() -> None:
    login = respx.post("https://fw.example/login").mock(
        return_value=httpx.Response(
            200, headers=[("Set-Cookie", "sid=1; Path=/; Secure"), ("Set-Cookie", 'csrf="x"')]
        )
    )
    respx.get(URL).respond(200)
    auth = made("session", url="https://fw.example/login", username="u", password="p", send_as="form",
                password_field="secretkey", csrf_cookie="csrf", csrf_header="X-CSRF")  # fmt: skip
    send(Request(url=URL), auth=auth, egress=OPEN)
    assert login.calls.last.request.content == b"username=u&secretkey=p"
    assert respx.calls.last.request.headers["cookie"] == 'sid=1; csrf="x"'
    assert respx.calls.last.request.headers["x-csrf"] == "x"


@respx.mock
@pytest.mark.parametrize(("answer", "kind", "sentence"), [
    ({"return_value": httpx.Response(403, text="hunter2")}, LoginRefused, "status 403"),
    ({"return_value": httpx.Response(200, json={"other": 1})}, LoginRefused, 'holds no "token"'),
    ({"return_value": httpx.Response(200, text="<html>")}, NetFailed, "not JSON"),
    ({"return_value": httpx.Response(503, text="hunter2")}, NetFailed, "logging in failed: the login answered 503"),
    ({"return_value": httpx.Response(429)}, NetFailed, "logging in failed: the login answered 429"),
    ({"side_effect": httpx.ReadTimeout("x")}, NetTimeout, "logging in failed"),
])  # fmt: skip
def test_a_failed_login_means_the_request_was_not_sent(
    answer: dict[str, object], kind: type[NetFailed], sentence: str
) -> None:
    respx.post("https://login.example/").mock(**answer)  # type: ignore[arg-type]  # one of two keywords
    product = respx.get(URL)
    auth = made("login_jwt", url="https://login.example/", username="u", password="hunter2", send_as="json")
    with pytest.raises(kind, match=sentence) as caught:
        send(Request(url=URL), auth=auth, egress=OPEN)
    assert not caught.value.sent
    assert not product.called
    assert "hunter2" not in str(caught.value)


def test_hmac_signs_what_the_product_says() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    request = Request(method="POST", url=f"{URL}?a=1", json={"x": "{timestamp}"})
    with clock.frozen(at):
        made_ = signed("hmac", request, secret="k", prefix="v1=", message="{timestamp}.{method}.{path}.{body}",
                       timestamp_header="X-Time")  # fmt: skip
    text = f'{int(at.timestamp())}.POST./api?a=1.{{"x":"{{timestamp}}"}}'
    assert made_.headers["X-Signature"] == "v1=" + hmac.new(b"k", text.encode(), hashlib.sha256).hexdigest()
    assert made_.headers["X-Time"] == str(int(at.timestamp()))
    with pytest.raises(Invalid, match="knows"):
        signed("hmac", request, secret="k", message="{nonsense}")


@pytest.mark.parametrize(("query", "signature"), [
    ("", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    ("?Param2=value2&Param1=value1", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
])  # fmt: skip
def test_sigv4_agrees_with_the_vectors_aws_publishes(query: str, signature: str) -> None:
    with clock.frozen(datetime(2015, 8, 30, 12, 36, tzinfo=UTC)):
        headers = signed(
            "sigv4", Request(url=f"https://example.amazonaws.com/{query}"), access_key="AKIDEXAMPLE",
            secret_key="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", service="service",
        ).headers  # fmt: skip
    assert headers["Authorization"].endswith(f"SignedHeaders=host;x-amz-date, Signature={signature}")
