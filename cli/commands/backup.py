"""`tocsin backup`: everything in one file, while Tocsin runs."""

import json
import sys
from pathlib import Path

import click

from cli import backing_up, serving
from cli.saying import echo
from core.archive import Manifest


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@click.option(
    "--with-secret-key", is_flag=True, help="Put the secret key in too: then the file opens everything."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(file: Path, with_secret_key: bool, as_json: bool) -> None:
    """Write everything that Tocsin holds into FILE (- is standard output), as it is at one moment, while Tocsin runs.

    The same file can be restored into SQLite and PostgreSQL, by this version and newer ones. The secret key is not in it
    unless you ask: keep that apart. Who is signed in is not in it either.
    """
    given = serving.prepare_existing()
    if str(file) == "-":
        manifest = backing_up.write(given, sys.stdout.buffer, with_key=with_secret_key)
        sys.stdout.buffer.flush()
        echo(_said(manifest, "standard output"), err=True)
        return
    manifest = backing_up.save(given, file, with_key=with_secret_key)
    told = {
        "file": str(file), "bytes": file.stat().st_size, "rows": manifest.rows, "tables": len(manifest.tables),
        "revision": manifest.revision, "made_at": manifest.made_at.isoformat(), "with_key": manifest.with_key,
    }  # fmt: skip
    echo(json.dumps(told) if as_json else _said(manifest, str(file)))


def _said(manifest: Manifest, where: str) -> str:
    key = (
        "The secret key is in it: whoever has the file can open every stored secret."
        if manifest.with_key
        else "The secret key is not in it: keep it apart, stored secrets cannot be opened without it."
    )
    return f"{manifest.rows} rows of {len(manifest.tables)} tables are in {where}.\n{key}"
