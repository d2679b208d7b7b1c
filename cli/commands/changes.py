"""`tocsin changes`: guarded changes that wait for a second person, and the way of whoever has the machine itself."""

import json

import click

from cli import serving
from cli.saying import echo
from core import four_eyes
from core.actors import SYSTEM
from core.db import reading, unit_of_work
from core.errors import Invalid


@click.group()
def command() -> None:
    """Proposals to loosen a guard rail."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
def listed(as_json: bool) -> None:
    """What waits for a second person, oldest first."""
    serving.prepare_existing()
    with reading() as session:
        rows = [
            {"id": str(one.id), "says": one.says, "by": one.actor_name, "at": one.created_at.isoformat(), "alone": one.alone}
            for one in four_eyes.waiting(session)
        ]  # fmt: skip
    if as_json:
        echo(json.dumps(rows))
        return
    for row in rows:
        echo(f"{row['id']}  {row['says']}  ({row['by']})")
    if not rows:
        echo("No change waits for a second person.")


@command.command()
@click.argument("change")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def agree(change: str, as_json: bool) -> None:
    """Have CHANGE take effect now. For an emergency: whoever may run this may do anything here, and the journal says so."""
    serving.prepare_existing()
    with unit_of_work() as uow:
        known = {str(row.id): row.id for row in four_eyes.waiting(uow)}
        if change not in known:
            raise Invalid("No such change waits; `tocsin changes list` shows those that do.")
        done = four_eyes.agree(uow, SYSTEM, known[change])
    echo(json.dumps({"id": change, "state": done.state}) if as_json else f"In effect: {done.says}")
