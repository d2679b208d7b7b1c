"""`tocsin playbooks`: check, publish and describe the playbook file."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from cli import serving
from cli.saying import echo
from core.actors import SYSTEM
from core.db import unit_of_work
from core.errors import Invalid, NotFound
from core.errors import Problem as Told
from core.settings import looked_up
from playbooks import cases, proving, publishing
from playbooks import simulate as walking
from playbooks.plan import Plan

FILE = click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))


@click.group()
def command() -> None:
    """Playbooks: what Tocsin does by itself, and what it asks people to do. FILE defaults to TOCSIN_PLAYBOOKS."""


@command.command()
@FILE
@click.option("--json", "as_json", is_flag=True, help="Print the problems as JSON.")
def check(file: Path | None, as_json: bool) -> None:
    """Say everything that is wrong with FILE, with its lines; exit 1 if anything is. Needs no database."""
    path = file or looked_up().playbooks
    problems = publishing.check(path)
    if as_json:
        echo(json.dumps([{"file": p.file, "line": p.line, "message": p.message} for p in problems]))
    else:
        for problem in problems:
            echo(str(problem))
        if not problems:
            echo(f"{path}: sound")
    if problems:
        raise SystemExit(1)


@command.command()
@FILE
@click.option("--json", "as_json", is_flag=True, help="Print what became of each playbook as JSON.")
def apply(file: Path | None, as_json: bool) -> None:
    """Publish FILE: changed playbooks become new versions; runs that live keep theirs."""
    given = serving.prepare_existing()
    with unit_of_work() as uow:
        done = publishing.apply(uow, SYSTEM, file or given.playbooks)
    if as_json:
        echo(json.dumps([{"key": d.key, "outcome": d.outcome, "number": d.number} for d in done]))
        return
    for one in done:
        echo(
            f"{one.key:32} {one.outcome:8} version {one.number}"
            if one.number
            else f"{one.key:32} {one.outcome}"
        )


@command.command()
def schema() -> None:
    """Print the JSON Schema of the language, for an editor that completes and checks YAML."""
    echo(json.dumps(publishing.schema(), indent=2))


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
    plans = _sound(file or looked_up().playbooks)
    lines = walking.walk(plans, key, walking.read_facts(facts_file) if facts_file else {})
    if as_json:
        echo(json.dumps([line.told() for line in lines]))
        return
    for line in lines:
        echo(str(line))


@command.command("test")
@FILE
@click.option(
    "--cases", "cases_file", type=click.Path(dir_okay=False, path_type=Path), default=None,
    help="The file of the cases; when left out, it stands beside FILE: playbooks.tests.yaml.",
)  # fmt: skip
@click.option("--playbook", "key", default=None, help="Only the cases of this playbook.")
@click.option(
    "--every-branch", is_flag=True, help="Exit 1 as well when a branch of a playbook is never taken."
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print what each case came to, and the branches, as JSON."
)
def prove(
    file: Path | None, cases_file: Path | None, key: str | None, every_branch: bool, as_json: bool
) -> None:
    """Play the test cases of FILE through the engine; exit 1 when one fails. Needs no database, sends nothing."""
    path = file or looked_up().playbooks
    plans = _sound(path)
    if key is not None and key not in plans:
        raise NotFound(f'There is no playbook "{key}" in {path}; it has: {", ".join(plans)}.')
    told = [
        case for case in cases.read(cases_file or cases.beside(path), plans) if key in (None, case.playbook)
    ]
    outcomes, coverage = proving.prove(plans, told)
    shown = [one for one in coverage if key in (None, one.playbook)]
    if as_json:
        echo(
            json.dumps(
                {"cases": [one.told() for one in outcomes], "branches": [asdict(one) for one in shown]}
            )
        )
    else:
        _print_proof(outcomes, shown)
    missing = any(one.missing for one in shown)
    if any(not one.passed for one in outcomes) or (every_branch and missing):
        raise SystemExit(1)


def _print_proof(outcomes: list[proving.Outcome], coverage: list[proving.Coverage]) -> None:
    for one in outcomes:
        echo(
            f"{'ok  ' if one.passed else 'FAIL'} {one.playbook}: {one.name}"
            + ("" if one.passed else f" (line {one.line})")
        )
        for problem in one.problems:
            echo(f"    {problem}")
    for branch in coverage:
        echo(str(branch))
        for where in branch.missing:
            echo(f"    never: {where}")
    failed, spent = sum(not one.passed for one in outcomes), sum(one.milliseconds for one in outcomes)
    said = f"{failed} of {len(outcomes)} cases failed" if failed else f"all {len(outcomes)} cases passed"
    echo(f"{said} in {spent:.0f} ms")


def _sound(path: Path) -> dict[str, Plan]:
    """The plans of a file; raises Invalid with what is wrong with it."""
    _, compiled = publishing.read(path)
    if compiled.problems:
        told = [Told(f"{p.file}:{p.line}", p.message) for p in compiled.problems]
        raise Invalid(f"{path} is not sound; `tocsin playbooks check` shows the same:", told)
    return compiled.plans
