"""`tocsin restore`: a backup into an empty database."""

import json
from pathlib import Path

import click

from cli import backing_up, serving
from cli.saying import echo
from core.settings import Settings, looked_up


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option(
    "--hold", is_flag=True, help="Hold all automation until somebody lets it go on: after a disaster."
)
@click.option("--other-key", is_flag=True, help="The key is lost: restore all but the stored secrets.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(file: Path, hold: bool, other_key: bool, as_json: bool) -> None:
    """Put the backup in FILE into this installation's empty database, SQLite or PostgreSQL, whichever it came from.

    The file is checked from end to end before anything is written; everything is written, or nothing. The schema is
    brought to this version. What was due when the backup was made is due again: with --hold no action is taken before
    somebody has looked at what happened since.
    """
    backup = backing_up.examined(file, looked_up(), other_key=other_key)
    given = serving.prepare_new()
    done = backing_up.restore(
        given, backup, other_key=other_key, hold=hold, tell=lambda line: None if as_json else echo(line)
    )
    told = {
        "rows": done.manifest.rows, "made_at": done.manifest.made_at.isoformat(), "revision": done.revision,
        "key_written": done.key_written, "held": hold, "problems": done.problems, "proof": done.proof,
    }  # fmt: skip
    if as_json:
        echo(json.dumps(told))
    else:
        _say(given, done, hold)
    if done.problems:
        raise SystemExit(1)


def _say(given: Settings, done: backing_up.Restored, hold: bool) -> None:
    echo(done.proof)
    if done.key_written:
        echo(f"The backup's secret key is in {given.data_dir / 'secret.key'} now.")
    if hold:
        echo("All automation is held: let it go on under Settings, Guard rails.")
    if done.problems:
        echo("Everything was restored, and its journal is not whole: `tocsin audit verify` says where.")
    echo("Start Tocsin; people sign in again.")
