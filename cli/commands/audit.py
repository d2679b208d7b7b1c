"""`tocsin audit`: proves the journal, exports it as a file that proves itself, shows its seal."""

import gc
import json
from pathlib import Path

import click

from cli import serving
from cli.saying import echo
from core import auditing, checkpoints, proof_files, sealing, signing
from core.checkpoints import PublicKey
from core.db import one_moment, reading
from core.errors import NotFound

_EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path)
_KEY = click.option(
    "--key", "keys", multiple=True, metavar="NAME+ID+KEY",
    help="A public key that you noted down; its signatures count.",
)  # fmt: skip
_AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@click.group()
def command() -> None:
    """The journal's proof: is it what was recorded, every entry of it?"""


@command.command()
@click.argument("file", type=_EXISTING, required=False)
@click.option(
    "--checkpoint", "kept", type=_EXISTING, multiple=True,
    help="A checkpoint that was kept elsewhere: the file, or the saved mail it came in.",
)  # fmt: skip
@_KEY
@_AS_JSON
def verify(file: Path | None, kept: tuple[Path, ...], keys: tuple[str, ...], as_json: bool) -> None:
    """Check every hash, column, place, root and signature; exit 0 when all fit, 1 with what does not.

    Without FILE the database is checked; with FILE a journal that `tocsin audit export` wrote, on any machine and
    without a database. Safe while Tocsin runs.
    """
    given = [checkpoints.read(path.read_text(encoding="utf-8", errors="replace")) for path in kept]
    known = [PublicKey.read(text) for text in keys]
    gc.disable()  # millions of short-lived rows and no cycles among them
    waiting = 0
    if file is not None:
        proof = auditing.prove_file(file, known, given)
        signer = "given with --key" if known else proof_files.ProofFile(file).head.key
    else:
        serving.prepare_existing()
        proof = auditing.prove_database(known, given)
        with reading() as session:
            waiting = sealing.state(session).waiting
        signer = signing.public_key().text
    if as_json:
        echo(json.dumps({**auditing.told(proof, waiting), "key": signer}))
    else:
        echo(auditing.statement(proof))
        for problem in proof.problems:
            echo(f"  {problem.where}: {problem.message}")
        if proof.found > len(proof.problems):
            echo(f"  … and {proof.found - len(proof.problems):,} more")
        covered = (
            f"the last of {proof.last.at:%Y-%m-%d %H:%M:%S} UTC over {proof.last.size:,} entries"
            if proof.last
            else "none yet"
        )
        echo(f"Checkpoints: {proof.stamps:,}, {covered}. Signed by {signer}")
        if proof.redacted or waiting:
            echo(
                f"Entries whose erasable part is gone: {proof.redacted:,}. Not sealed yet: {waiting:,}."
            )
    if proof.found:
        raise SystemExit(1)


@command.command()
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), required=True,
    help="The file to write; a name that ends in .gz is compressed.",
)  # fmt: skip
@click.option(
    "--without-data", is_flag=True, help="Leave out what can be redacted: free text, values of persons."
)
@_AS_JSON
def export(output: Path, without_data: bool, as_json: bool) -> None:
    """Write the sealed journal to a file that proves itself: `tocsin audit verify FILE` needs nothing else."""
    serving.prepare_existing()
    with one_moment() as session:
        written = auditing.export(session, output, data=not without_data)
    told = {"file": str(output), "entries": written, "bytes": output.stat().st_size}
    echo(json.dumps(told) if as_json else f"{output}: {written:,} entries, {told['bytes']:,} bytes")


@command.command()
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), default=None,
    help="Keep the checkpoint in this file.",
)  # fmt: skip
@_AS_JSON
def checkpoint(output: Path | None, as_json: bool) -> None:
    """Show the newest checkpoint and the public key: hand them to somebody who keeps them elsewhere."""
    serving.prepare_existing()
    with reading() as session:
        last = sealing.latest(session)
    if last is None:
        raise NotFound("Nothing is sealed yet: a running Tocsin seals its first entries within seconds.")
    if output is not None:
        output.write_text(last.note, encoding="utf-8")
    key = signing.public_key().text
    if as_json:
        echo(
            json.dumps({"size": last.size, "at": last.at.isoformat(), "checkpoint": last.note, "key": key})
        )
        return
    echo(last.note)
    echo(f"Public key: {key}")
