"""One address for each page there is: the routes are the list, following links finds an address for each."""

import re
from urllib.parse import urlsplit

from browsing import Browser, Shown
from starlette.routing import Route

from web.app import routers

MOST = 400
# Not pages that somebody who is signed in can follow a link to; each is looked at by a test of its own.
ELSEWHERE = {
    "/login", "/start/{token}", "/a/{token}", "/profile/factor/app/{factor_id}", "/report/{token}",
    "/manifest.webmanifest", "/push-worker.js",
}  # fmt: skip


def page_routes() -> dict[str, re.Pattern[str]]:
    """Every address pattern of web/routes that answers GET, and how it matches."""
    found = {
        route.path: route.path_regex
        for router in routers("web.routes")
        for route in router.routes
        if isinstance(route, Route) and "GET" in (route.methods or ())
    }
    return {path: found[path] for path in sorted(found, key=lambda path: ("{" in path, path))}


def follow_links(browser: Browser, *more: str) -> dict[str, str]:
    """An address for each route that a signed-in reader can reach by links from the first page (and from `more`)."""
    routes = page_routes()
    found: dict[str, str] = {}
    waiting = [*more, "/"]
    fetched = 0
    while waiting and fetched < MOST:
        address = waiting.pop(0)
        path = urlsplit(address).path
        route = next((name for name, pattern in routes.items() if pattern.match(path)), None)
        if route is None or route in found or path == "/login":
            continue
        answer = browser.client.get(address)
        fetched += 1
        assert answer.status_code == 200, f"{address} → {answer.status_code}"
        found[route] = address
        kept = answer.headers.get("Content-Disposition", "").startswith("attachment")
        if answer.headers.get("Content-Type", "").startswith("text/html") and not kept:
            waiting += browser.own_links(Shown(answer))
        else:
            found[route] = ""  # a file, not a page
    return found
