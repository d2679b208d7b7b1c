"""`tocsin init`: the first administrator, from a script."""

import json

import click

from cli import first_steps, migrate, serving
from cli.saying import echo
from core.actors import SYSTEM
from core.auth import users
from core.db import reading, unit_of_work
from core.errors import Conflict


@click.command()
@click.option("--email", required=True, help="The administrator's address: what they sign in with.")
@click.option("--name", default=None, help="Their name; the part before the @ when left out.")
@click.option(
    "--password", default=None, help="Their password, at least 12 characters; asked for when left out."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(email: str, name: str | None, password: str | None, as_json: bool) -> None:
    """Set up the database and the first administrator without the start link."""
    given = serving.prepare_new()
    migrate.upgrade()
    serving.seed()
    serving.first_playbooks(given)
    with reading() as session:
        known = users.by_email(session, email)
        if known is not None and known.password is not None:
            raise Conflict(f"{email} is already a user; sign in, or use another address.")
    secret = password or click.prompt("Password", hide_input=True, confirmation_prompt=True)
    hashed = users.hash_password(secret)
    with unit_of_work() as uow:
        user = first_steps.administrator(uow, email=email, name=name or email.partition("@")[0])
        users.set_password(uow, SYSTEM, user.id, hashed)
        first_steps.on_call(uow, [user])
    told = {"id": str(user.id), "email": user.email}
    echo(json.dumps(told) if as_json else f"{user.email} can sign in at {given.base_url}")
