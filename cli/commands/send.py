"""`tocsin send`: posts a file to the ingest door as a tool would."""

import gzip
import json
import sys
from pathlib import Path

import click

from cli import posting, serving
from cli.saying import echo
from core.db import reading
from core.errors import Invalid, Unavailable
from core.net.errors import NetFailed
from ingest import sources


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--source", "name", required=True, help="The source to send as.")
@click.option(
    "--token", envvar="TOCSIN_SOURCE_TOKEN", required=True, help="Its secret; or set TOCSIN_SOURCE_TOKEN."
)
@click.option(
    "--header", "headers", multiple=True, metavar="NAME:VALUE", help="A header the product would send."
)
@click.option("--compress", is_flag=True, help="Send it gzipped.")
@click.option("--json", "as_json", is_flag=True, help="Print the receipt as JSON.")
def command(
    file: Path, name: str, token: str, headers: tuple[str, ...], compress: bool, as_json: bool
) -> None:
    """Send FILE (JSON, an array, NDJSON or what the product writes; - for standard input) to the running Tocsin."""
    given = serving.prepare_existing()
    with reading() as session:
        source = sources.get(session, name)
    body = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    sent: dict[str, str] = {}
    for header in headers:
        key, colon, value = header.partition(":")
        if not colon:
            raise Invalid(f"--header {header!r} must have the form NAME:VALUE")
        sent[key.strip()] = value.strip()
    if compress:
        body, sent["Content-Encoding"] = gzip.compress(body), "gzip"
    try:
        answer = posting.post(sources.url_of(source, token), source.proof, token, body, sent)
    except NetFailed as error:
        raise Unavailable(
            f"Tocsin does not answer on {given.base_url}: start it with `tocsin serve`."
        ) from error
    told = json.loads(answer.content)
    if answer.status != 202:
        raise Invalid(f"{answer.status}: {told.get('detail') or told.get('title')}")
    echo(json.dumps(told) if as_json else f"{told['status']}: {told['receipt']}")
