"""`tocsin migrate`: brings the database to this version."""

import json

import click

from cli import migrate, serving
from cli.saying import echo


@click.command()
@click.option(
    "--check", is_flag=True, help="Only say whether it is needed, and what it would do; exit 1 if it is."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(check: bool, as_json: bool) -> None:
    """Bring the database's schema to this version. Safe to run twice, and while another process runs it."""
    if check:
        found, needed = serving.looked_at()
    else:
        given = serving.prepare_new()
        found, needed = migrate.state()
    steps = migrate.pending(found)
    if not as_json:
        for step in steps:
            echo(f"{'Would do' if check else 'Doing'} {step.revision}: {step.says}.")
    if not check:
        found = migrate.upgrade()
        serving.seed()
        serving.first_playbooks(given)
    told = {
        "revision": found, "needed": needed, "current": found == needed,
        "pending" if check else "done": [{"revision": step.revision, "says": step.says} for step in steps],
    }  # fmt: skip
    echo(
        json.dumps(told)
        if as_json
        else f"The database is at {found or '(empty)'}; this version needs {needed}."
    )
    if found != needed:
        raise SystemExit(1)
