"""`tocsin playbooks`: check, publish and describe the playbook file."""

import json
from pathlib import Path

import click

from cli import serving
from core.actors import SYSTEM
from core.db import unit_of_work
from core.errors import Invalid
from core.errors import Problem as Told
from core.settings import settings
from playbooks import publishing
from playbooks import simulate as walking

FILE = click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))


@click.group()
def command() -> None:
    """Playbooks: what Tocsin does by itself, and what it asks people to do. FILE defaults to TOCSIN_PLAYBOOKS."""


@command.command()
@FILE
@click.option("--json", "as_json", is_flag=True, help="Print the problems as JSON.")
def check(file: Path | None, as_json: bool) -> None:
    """Say everything that is wrong with FILE, with its lines; exit 1 if anything is. Needs no database."""
    path = file or settings().playbooks
    problems = publishing.check(path)
    if as_json:
        click.echo(json.dumps([{"file": p.file, "line": p.line, "message": p.message} for p in problems]))
    else:
        for problem in problems:
            click.echo(str(problem))
        if not problems:
            click.echo(f"{path}: sound")
    if problems:
        raise SystemExit(1)


@command.command()
@FILE
@click.option("--json", "as_json", is_flag=True, help="Print what became of each playbook as JSON.")
def apply(file: Path | None, as_json: bool) -> None:
    """Publish FILE: changed playbooks become new versions; runs that live keep theirs."""
    given = serving.prepare()
    with unit_of_work() as uow:
        done = publishing.apply(uow, SYSTEM, file or given.playbooks)
    if as_json:
        click.echo(json.dumps([{"key": d.key, "outcome": d.outcome, "number": d.number} for d in done]))
        return
    for one in done:
        click.echo(
            f"{one.key:32} {one.outcome:8} version {one.number}"
            if one.number
            else f"{one.key:32} {one.outcome}"
        )


@command.command()
def schema() -> None:
    """Print the JSON Schema of the language, for an editor that completes and checks YAML."""
    click.echo(json.dumps(publishing.schema(), indent=2))


@command.command()
@FILE
@click.option("--playbook", "key", required=True, help="The playbook to walk through.")
@click.option(
    "--facts", "facts_file", type=click.Path(exists=True, dir_okay=False, path_type=Path), default=None,
    help="A YAML or JSON file with the incident's facts and the inputs; a bare incident when left out.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the walk as JSON.")
def simulate(file: Path | None, key: str, facts_file: Path | None, as_json: bool) -> None:
    """Walk through a playbook of FILE without any effect: what it would do, ask and refuse, and why."""
    path = file or settings().playbooks
    _, compiled = publishing.read(path)
    if compiled.problems:
        told = [Told(f"{p.file}:{p.line}", p.message) for p in compiled.problems]
        raise Invalid(f"{path} is not sound; `tocsin playbooks check` shows the same:", told)
    lines = walking.walk(compiled.plans, key, walking.read_facts(facts_file) if facts_file else {})
    if as_json:
        click.echo(json.dumps([line.told() for line in lines]))
        return
    for line in lines:
        click.echo(str(line))
