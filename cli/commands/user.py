"""`tocsin user`: what can be done about an account from the machine itself, when nobody can do it in the browser."""

import json

import click

from cli import serving
from cli.saying import echo
from core.actors import SYSTEM
from core.auth import factors, passkeys, users
from core.db import reading, unit_of_work
from core.errors import NotFound


@click.group()
def command() -> None:
    """Accounts: a way back in for the only administrator, who has lost phone and recovery codes."""


@command.command("reset-factor")
@click.argument("email")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def reset_factor(email: str, as_json: bool) -> None:
    """Take all second factors of EMAIL away, so that the password alone lets them in; they are told, and it is journalled."""
    given = serving.prepare_existing()
    with reading() as session:
        known = users.by_email(session, email)
    if known is None:
        raise NotFound(f"Nobody here has the address {email}.")
    with unit_of_work() as uow:
        user = factors.reset(uow, SYSTEM, known.id)
    told = {"id": str(user.id), "email": user.email}
    said = (
        f"{user.email} signs in with the password alone at {given.base_url}; a new factor is added under You."
    )
    if not users.has_password(user):
        told["link"] = f"{passkeys.home()}{users.start_path(user)}"
        said = f"{user.email} had a passkey alone and sets a password at {told['link']}"
    echo(json.dumps(told) if as_json else said)
