"""Every route says who may use it: changes name their permission, readers are signed in or expressly anyone."""

from collections.abc import Iterator

from every_route import calls, routes
from fastapi.routing import APIRoute

from cli import assemble
from core.auth import permissions

# Reading these needs no session, because:
ANYONE_READS = {
    "/healthz": "load balancers ask it",
    "/readyz": "load balancers ask it",
    "/metrics": "Prometheus asks it; it holds counts only",
    "/login": "it is how a session begins",
    "/start/{token}": "the signed link is the proof",
    "/report": "reporters have no account; it shows a form, where it is switched on",
    "/report/{token}": "the unguessable link is the proof; it shows the reporter's own words, our answers and how far it is",
    "/manifest.webmanifest": "browsers ask for it without a session; it holds our name and mark",
    "/push-worker.js": "it is a script of ours, as those under /static",
    "/a/{token}": "the signed link is the proof; it shows no names or addresses",
}


def _routes() -> Iterator[APIRoute]:
    assemble.load()
    yield from routes()


def _permission(route: APIRoute) -> str | None:
    return next((call.permission for call in calls(route.dependant) if hasattr(call, "permission")), None)


def _open_because(route: APIRoute) -> str | None:
    return next((call.reason for call in calls(route.dependant) if hasattr(call, "reason")), None)


def test_there_are_routes() -> None:
    assert len(list(_routes())) > 30


def test_every_changing_route_declares_its_permission() -> None:
    bare = [
        f"{', '.join(sorted(route.methods))} {route.path}"
        for route in _routes()
        if route.methods - {"GET", "HEAD", "OPTIONS"} and not (_permission(route) or _open_because(route))
    ]
    assert not bare, "say allowed(…) or open_to_all(why):\n" + "\n".join(bare)


def test_every_permission_of_a_route_exists() -> None:
    declared = permissions.declared()
    assert [p for route in _routes() if (p := _permission(route)) and p not in declared] == []


def test_every_reading_route_knows_its_reader() -> None:
    unknown = [
        route.path
        for route in _routes()
        if "GET" in route.methods
        and route.path not in ANYONE_READS
        and not (_permission(route) or _open_because(route))
        and not any(
            getattr(call, "__name__", "") in {"signed_in", "caller"} for call in calls(route.dependant)
        )
    ]
    assert not unknown, "anyone can read:\n" + "\n".join(unknown)


def test_get_and_change_never_share_a_handler() -> None:
    mixed = [route.path for route in _routes() if "GET" in route.methods and route.methods - {"GET", "HEAD"}]
    assert not mixed
