"""The `tocsin` command: finds its subcommands by walking cli/commands, and turns errors into sentences."""

import ast
import atexit
import gc
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from cli.saying import echo

from core.errors import Invalid, TocsinError
from core.plugins import module_names


class Commands(click.Group):
    """Loads a subcommand's file only when it is typed; `tocsin --help` reads their sentences and runs none of them."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return [name.replace("_", "-") for name in module_names("cli.commands")]

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        module_name = name.replace("-", "_")
        if module_name not in module_names("cli.commands"):
            return None
        command = importlib.import_module(f"cli.commands.{module_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        names = self.list_commands(ctx)
        room = formatter.width - 6 - max(map(len, names))
        told = [(name, click.Command(name, help=_help_of(name)).get_short_help_str(room)) for name in names]
        with formatter.section("Commands"):
            formatter.write_dl(told)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except TocsinError as error:
            echo(f"tocsin: {error.message}", err=True)
            if isinstance(error, Invalid):
                for problem in error.problems:
                    echo(f"  {problem.path}: {problem.message}", err=True)
            sys.exit(1)


def _help_of(name: str) -> str | None:
    """What a command says about itself, out of its file: importing them all takes a second."""
    file = Path(__file__).parent / "commands" / f"{name.replace('-', '_')}.py"
    found = ast.parse(file.read_text(encoding="utf-8")).body
    return next(
        ast.get_docstring(one) for one in found if isinstance(one, ast.FunctionDef) and one.name == "command"
    )


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="tocsin", prog_name="tocsin", version=None)
def tocsin() -> None:
    """Tocsin, security incident response: alerts in, people paged, playbooks run, a record that can be proved.

    \b
    Begin with:   tocsin serve                 start everything on this machine
                  tocsin demo                  the same with sample data; nothing leaves the machine
                  tocsin source add wazuh        an address and a secret for a tool

    Settings are environment variables; `tocsin serve --help` lists them.
    """  # noqa: D301 - \b keeps click from folding the lines


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit: 0 when it did what was asked, 1 with a sentence when it could not, 2 for usage."""
    # Starting makes half a million objects that stay; looking through them again and again takes a sixth of the time.
    gc.set_threshold(1_000_000)
    try:
        tocsin.main(args=list(arguments) if arguments is not None else None, prog_name="tocsin")
    except SystemExit as ended:
        _end(ended.code)
    _end(None)


def _end(code: str | int | None) -> NoReturn:
    """End the process when what is to be done last is done; taking all its objects apart would take half a second more."""
    if isinstance(code, str):
        echo(code, err=True)
        code = 1
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # what was printed did not get there: Python's own word for it
            code = code or 120
    os._exit(code or 0)
