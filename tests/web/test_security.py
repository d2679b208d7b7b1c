"""Every changing route asks for a permission or says why not; other sites' forms are refused; headers are strict."""


import pytest
from every_route import calls, routes
from fastapi.routing import APIRoute
from starlette.datastructures import Headers

from core.auth import permissions
from web import security


def changing() -> list[APIRoute]:
    """The routes that are not only for reading."""
    return [route for route in routes() if (route.methods or set()) & security.UNSAFE]


def test_the_walk_finds_routes() -> None:
    assert {"/login", "/logout"} <= {route.path for route in changing()}


@pytest.mark.parametrize("route", changing(), ids=lambda route: f"{min(route.methods or ['?'])} {route.path}")
def test_a_changing_route_declares_its_permission(route: APIRoute) -> None:
    asked = [call for call in calls(route.dependant) if isinstance(call, security.Allowed | security.Open)]
    if route.path.startswith("/api/"):
        return  # held by the API's own tests
    assert asked, f'{route.path}: declare `actor: Actor = allowed("…")` or `open_to_all("why")`'
    for call in asked:
        if isinstance(call, security.Allowed):
            assert call.permission in permissions.declared(), (
                f"{route.path}: {call.permission} is not declared"
            )


@pytest.mark.parametrize(
    ("headers", "elsewhere"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, True),
        ({"Sec-Fetch-Site": "same-site"}, True),
        ({"Origin": "https://soc.example", "Host": "soc.example"}, False),
        ({"Origin": "https://evil.example", "Host": "soc.example"}, True),
        ({"Origin": "null", "Host": "soc.example"}, True),
        ({"Host": "soc.example"}, False),
    ],
)
def test_requests_of_other_sites_are_told_apart(headers: dict[str, str], elsewhere: bool) -> None:
    assert security.from_elsewhere(Headers(headers)) is elsewhere


def test_the_policy_allows_no_inline_code() -> None:
    assert "unsafe" not in security.POLICY
    assert "script-src 'self'" in security.POLICY
    assert "style-src 'self'" in security.POLICY
