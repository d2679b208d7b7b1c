"""The actions written in Python: directory accounts on a real OpenLDAP, generic HTTP, VirusTotal's URL look-up, uptime checks."""

from __future__ import annotations

from typing import Any

import pytest
from directory_server import Directory

from connectors import registry
from connectors.contract import ActionContext, ActionFailed
from core.net import Egress
from core.net.errors import LdapRefused, NetTimeout, ResponseTooLarge
from core.net.http import Request, Response


def run(name: str, context: ActionContext, **inputs: Any) -> dict[str, Any]:
    action = registry.action(name).run
    assert action is not None
    return dict(action(context, inputs))


def no_http(request: Request) -> Response:
    raise AssertionError("a directory action sends no HTTP")


def directory(server: Directory, *, user: str | None = None, **settings: Any) -> ActionContext:
    given = {
        "url": server.url,
        "base_dn": f"ou=people,{server.suffix}",
        "bind_dn": server.admin_dn,
        **settings,
    }
    password = server.password
    if user is not None:
        given["bind_dn"], password = server.dn(user), f"{user}-password"
    return ActionContext(given, {"password": password}, Egress(allow=("127.0.0.1",)), "k1", no_http)


def test_an_account_is_disabled_seen_disabled_and_enabled_as_in_active_directory(
    ldap_server: Directory,
) -> None:
    context = directory(ldap_server)
    before = run("ldap.get_account", context, user="mortiz")
    assert before == {
        "found": True,
        "dn": ldap_server.dn("mortiz"),
        "disabled": False,
        "name": "Marta Ortiz",
        "mail": "mortiz@example.org",
        "login": "mortiz",
        "manager": None,
    }
    assert run("ldap.disable_account", context, user="EXAMPLE\\mortiz") == {
        "dn": ldap_server.dn("mortiz"),
        "changed": True,
        "before": "512",
    }
    assert ldap_server.entry("mortiz")["userAccountControl"] == ["514"]
    assert ldap_server.entry("akim")["userAccountControl"] == ["512"]
    assert run("ldap.get_account", context, user="mortiz@example.org")["disabled"] is True
    assert run("ldap.disable_account", context, user="mortiz")["changed"] is False
    assert run("ldap.enable_account", context, user="mortiz")["changed"] is True
    assert ldap_server.entry("mortiz")["userAccountControl"] == ["512"]


def test_an_account_is_disabled_as_in_openldap(ldap_server: Directory) -> None:
    context = directory(ldap_server, style="ppolicy")
    assert run("ldap.disable_account", context, user="akim")["changed"] is True
    assert ldap_server.entry("akim")["pwdAccountLockedTime"]
    assert run("ldap.get_account", context, user="akim")["disabled"] is True
    assert run("ldap.enable_account", context, user="akim")["changed"] is True
    assert "pwdAccountLockedTime" not in ldap_server.entry("akim")


def test_an_attribute_of_ones_own_can_mean_disabled(ldap_server: Directory) -> None:
    context = directory(
        ldap_server, style="attribute", disabled_attribute="employeeType", disabled_value="suspended"
    )
    run("ldap.disable_account", context, user="akim")
    assert ldap_server.entry("akim")["employeeType"] == ["suspended"]
    run("ldap.enable_account", context, user="akim")
    assert "employeeType" not in ldap_server.entry("akim")


def test_nobody_else_is_touched(ldap_server: Directory) -> None:
    context = directory(ldap_server)
    with pytest.raises(ActionFailed, match="There is no account"):
        run("ldap.disable_account", context, user="*")
    with pytest.raises(ActionFailed, match="More than one account"):
        run(
            "ldap.disable_account",
            directory(ldap_server, login_attributes="sn,objectClass"),
            user="inetOrgPerson",
        )
    assert run("ldap.get_account", context, user="mortiz)(uid=*") == {"found": False}
    assert all(ldap_server.entry(uid)["userAccountControl"] == ["512"] for uid, _ in ldap_server.people)


def test_without_the_right_the_directory_says_no(ldap_server: Directory) -> None:
    with pytest.raises(LdapRefused):
        run("ldap.disable_account", directory(ldap_server, user="akim"), user="mortiz")


def test_health_signs_in_and_reads_the_base(ldap_server: Directory) -> None:
    health = registry.get("ldap").health
    assert health is not None
    assert health.run is not None
    assert health.run(directory(ldap_server)) == "Signed in; the base can be read."


# ------------------------------------------------------------------------------------------------------------ HTTP


class Asked:
    """Takes requests and answers with what it was given."""

    def __init__(self, status: int = 200, content: bytes = b"{}") -> None:
        self.answer = Response(status, {}, content)
        self.requests: list[Request] = []

    def __call__(self, request: Request) -> Response:
        self.requests.append(request)
        return self.answer

    def context(self, **secrets: str) -> ActionContext:
        return ActionContext({"base_url": "https://api.example.com/v1/"}, secrets, Egress(), "key-1", self)


def test_a_request_stays_below_its_base() -> None:
    asked = Asked(content=b'{"ok": true}')
    output = run("http.request", asked.context(token="t"), method="PUT", path="/tags/a b", json={"x": 1})
    assert output == {"status": 200, "body": {"ok": True}}
    sent = asked.requests[0]
    assert (sent.method, sent.url, sent.json) == ("PUT", "https://api.example.com/v1/tags/a%20b", {"x": 1})
    assert sent.headers == {"Authorization": "Bearer t", "Idempotency-Key": "key-1"}
    for path in ("/../admin", "/a/%2e%2e/b", "//evil.example.net/..", "a", "/a\\..\\b"):
        with pytest.raises(ActionFailed, match="below the base address"):
            run("http.request", asked.context(), method="POST", path=path)
    assert run("http.get", Asked(content=b"plain").context(), path="/x") == {"status": 200, "body": "plain"}


@pytest.mark.parametrize(("status", "done"), [(404, False), (429, False), (500, None), (503, None)])
def test_after_an_error_it_is_known_or_said_to_be_unknown(status: int, done: bool | None) -> None:
    with pytest.raises(ActionFailed) as caught:
        run("http.request", Asked(status).context(), method="POST", path="/x")
    assert caught.value.done is done
    assert caught.value.retryable is (status in (429, 503))


def test_a_url_is_looked_up_by_its_identifier_and_never_with_its_query() -> None:
    body = b'{"data": {"attributes": {"last_analysis_stats": {"malicious": 5, "suspicious": 1, "harmless": 60}, "title": "Sign in"}}}'
    asked = Asked(content=body)
    output = run("virustotal.url_report", asked.context(), url="http://www.example.com/")
    assert asked.requests[0].url == "https://api.example.com/v1/api/v3/urls/aHR0cDovL3d3dy5leGFtcGxlLmNvbS8"
    assert (output["found"], output["malicious"], output["title"]) == (True, 5, "Sign in")
    for url in (
        "http://www.example.com/?token=1",
        "http://u:p@www.example.com/",
        "http://www.example.com/#x",
    ):
        with pytest.raises(ActionFailed, match="never sent out"):
            run("virustotal.url_report", asked.context(), url=url)
    assert len(asked.requests) == 1
    assert run("virustotal.url_report", Asked(404).context(), url="http://www.example.com/") == {
        "found": False
    }


# ---------------------------------------------------------------------------------------------------------- uptime

LISTED = "shop https://shop.example.org/login\n\n  mail gateway  http://mail.example.org:8080/  \n"


def uptime(answer: Any, listed: str = LISTED) -> ActionContext:
    return ActionContext({"services": listed}, {}, Egress(), "k1", answer)


@pytest.mark.parametrize(("status", "up"), [(200, True), (302, True), (403, False), (500, False)])
def test_a_service_is_opened_where_users_open_it(status: int, up: bool) -> None:
    asked = Asked(status)
    answer = run("uptime.check", uptime(asked), service="Shop")
    assert (asked.requests[0].url, asked.requests[0].method) == ("https://shop.example.org/login", "GET")
    assert (answer["up"], answer["status"]) == (up, status)
    assert answer["says"].startswith(f"It answered {status} after")
    assert run("uptime.check", uptime(asked), service="mail gateway")["status"] == status
    run("uptime.check", uptime(asked), service="mail.example.org")
    assert [one.url for one in asked.requests[1:]] == ["http://mail.example.org:8080/"] * 2


def test_no_answer_is_an_answer_and_a_service_that_is_not_listed_is_never_opened() -> None:
    def silent(_request: Request) -> Response:
        raise NetTimeout("shop.example.org did not answer in time.", sent=True)

    def large(_request: Request) -> Response:
        raise ResponseTooLarge("more than 1 MiB", 200)

    said = run("uptime.check", uptime(silent), service="shop")
    assert (said["up"], said["status"], said["says"]) == (False, None, "No answer: shop.example.org did not answer in time.")
    assert run("uptime.check", uptime(large), service="shop")["up"] is True
    for name in ("https://evil.example.net/", "evil.example.net", "../shop"):
        with pytest.raises(ActionFailed, match="not among the services to check: shop, mail gateway"):
            run("uptime.check", uptime(no_http), service=name)


@pytest.mark.parametrize("listed", ["shop", "https://shop.example.org", "shop ftp://x.example.org", "shop https://u:p@x.example.org", " "])
def test_a_list_of_services_that_cannot_be_meant_is_said(listed: str) -> None:
    health = registry.get("uptime").health
    assert health is not None
    assert health.run is not None
    assert health.run(uptime(no_http)) == "2 services can be checked."
    with pytest.raises(ActionFailed, match=r"shop https://shop\.example\.org/login|between 1 and 200"):
        health.run(uptime(no_http, listed))
