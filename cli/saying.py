"""What commands print: a terminal gets what can be read, and nothing that moves its cursor or turns text round."""

import re

import click

# Control characters but tab and line feed, and Unicode's explicit directions (TR9); an alert or a file may hold any of them.
_TRICKS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def echo(text: object = "", *, err: bool = False) -> None:
    """Print a line, to standard error if asked; what a terminal would obey is shown as its code, such as [U+001B]."""
    click.echo(_TRICKS.sub(lambda found: f"[U+{ord(found.group()):04X}]", str(text)), err=err)
