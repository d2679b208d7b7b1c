"""Somebody at Tocsin's pages inside the test's own process: signed in without a form, forms sent with their token."""

from uuid import UUID

from httpx import Response
from starlette.testclient import TestClient

from core.actors import Actor
from core.auth import sessions, users
from core.db import unit_of_work
from web import security
from web.app import pages_app


class Reader:
    """One browser; without an actor it belongs to a stranger."""

    def __init__(self, actor: Actor | None = None) -> None:
        self.client = TestClient(
            security.Guard(pages_app()), base_url="http://tocsin.test", follow_redirects=False
        )
        self.csrf = ""
        if actor is not None and actor.user_id is not None:
            with unit_of_work() as uow:
                token = sessions.start(uow, users.get(uow, UUID(actor.id)))
            self.client.cookies.set(security.COOKIE, token)
            self.csrf = security.form_token(token)

    def get(self, path: str, status: int = 200) -> str:
        """The page's HTML."""
        answer = self.client.get(path)
        assert answer.status_code == status, f"GET {path} → {answer.status_code}: {answer.text[:400]}"
        return answer.text

    def post(self, path: str, status: int = 303, **fields: str | list[str]) -> Response:
        """Send a form; names may hold `__` for a dot."""
        data = {"csrf": self.csrf, **{name.replace("__", "."): value for name, value in fields.items()}}
        answer = self.client.post(path, data=data)
        assert answer.status_code == status, f"POST {path} → {answer.status_code}: {answer.text[:600]}"
        return answer
