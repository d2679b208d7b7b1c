"""`tocsin token`: API tokens for programs."""

import json
from datetime import timedelta

import click

from cli import serving
from cli.saying import echo
from core.actors import SYSTEM
from core.auth import permissions, tokens
from core.clock import now
from core.db import unit_of_work


@click.group()
def command() -> None:
    """API tokens: make one for a program that speaks with /api/v1."""


@command.command()
@click.option("--name", required=True, help="What the token is for; shown in the journal as the actor.")
@click.option(
    "--scope", "scopes", multiple=True, default=("role:responder",), show_default=True,
    help=f"A permission, or a role's permissions as role:NAME ({', '.join(permissions.ROLES)}). May be repeated.",
)  # fmt: skip
@click.option(
    "--days", type=click.IntRange(1, 3650), default=365, show_default=True, help="Expires after so many days."
)
@click.option("--json", "as_json", is_flag=True, help='Print {"token": …} as JSON.')
def create(name: str, scopes: tuple[str, ...], days: int, as_json: bool) -> None:
    """Make a token and show it once."""
    serving.prepare_existing()
    with unit_of_work() as uow:
        row, token = tokens.create(
            uow, SYSTEM, name=name, scopes=scopes, expires_at=now() + timedelta(days=days)
        )
    told = {"id": str(row.id), "name": row.name, "token": token, "permissions": row.permissions}
    echo(json.dumps(told) if as_json else f"{token}\nKeep it now: it is not shown again.")
