"""`tocsin report`: one incident's report as a file."""

import sys
from pathlib import Path

import click

from cli import serving
from cli.saying import echo
from core.actors import SYSTEM
from core.clock import now
from core.db import reading
from reports import contract, incident


@click.command()
@click.argument("key")
@click.option("--format", "name", default="pdf", show_default=True, help="pdf, html, json or stix.")
@click.option(
    "--print", "of", type=click.Choice(list(contract.PRINTS)), default=None,
    help="Which PDF: executive (one page), full or annex.",
)  # fmt: skip
@click.option("--external", is_flag=True, help="For people outside: roles stand for the names of people.")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path), default=None,
    help="The file to write, - for standard output; KEY-report.EXTENSION when left out.",
)  # fmt: skip
def command(key: str, name: str, of: str | None, external: bool, output: Path | None) -> None:
    """Write the report of the incident KEY (INC-2026-000042 or its id)."""
    serving.prepare_existing()
    chosen = contract.get(name)
    with reading() as session:
        report = incident.build(session, SYSTEM, key, now=now(), external=external)
    content = chosen.written(report, of or "")
    if output is not None and str(output) == "-":
        sys.stdout.buffer.write(content)
        return
    path = output or Path(chosen.filename(report, of or ""))
    path.write_bytes(content)
    echo(f"{path} ({len(content):,} bytes, TLP:{report.head.tlp.upper()})")
