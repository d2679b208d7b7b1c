"""`tocsin doctor`: what about this installation is not looked after."""

import json
import sys

import click

from cli import serving
from cli.saying import echo
from core.db import reading
from core.errors import TocsinError
from reports import doctor
from reports.doctor import Shown, State

CANNOT_ASK = 3
_MARKS = {State.green: "✔ green ", State.yellow: "! yellow", State.red: "✘ red   "}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the lights as JSON.")
def command(as_json: bool) -> None:
    """Look at what goes wrong unseen: TLS, backup, second responder, witness, heartbeat, secret key, sources, what is yours.

    Give it the environment that Tocsin runs with. The exit status is that of the worst light: 0 green, 1 yellow, 2 red;
    3 when it could not look, as without its database.
    """
    try:
        serving.prepare_existing()
        with reading() as session:
            shown = doctor.examine(session)
    except TocsinError as error:  # no colour: whoever asks must not take it for yellow
        echo(f"tocsin: {error.message}", err=True)
        sys.exit(CANNOT_ASK)
    worst = doctor.worst(shown)
    if as_json:
        echo(json.dumps({"worst": worst, "items": [one.told() for one in shown]}))
    else:
        for one in shown:
            _say(one)
    sys.exit(worst.rank)


def _say(one: Shown) -> None:
    found = one.finding
    echo(f"{_MARKS[found.state]}  {one.light.title}: {found.says}")
    if found.todo:
        echo(
            f"            {found.todo}{f'  {found.command or found.href}' if found.command or found.href else ''}"
        )
