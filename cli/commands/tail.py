"""`tocsin tail`: runs the very program that a source's page offers for other machines."""

import os
import sys

import click

from core.settings import looked_up
from ingest.tail import assembled


@click.command(
    add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def command(words: tuple[str, ...]) -> None:
    """Follow files of JSON lines (eve.json, alerts.json) and send each line once; tocsin tail --help says how."""
    folder = looked_up().data_dir / "tail"
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / assembled.NAME
    fresh = folder / f".{assembled.NAME}.{os.getpid()}"
    fresh.write_text(assembled.text(), encoding="utf-8")
    fresh.replace(program)
    os.execv(sys.executable, [sys.executable, str(program), *words])  # noqa: S606 - our own file, and no shell
