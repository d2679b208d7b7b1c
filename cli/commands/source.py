"""`tocsin source`: who may send alerts, and with which secret."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
from sqlalchemy import select

from cli import serving
from cli.saying import echo
from connectors import registry
from core import plugins
from core.actors import SYSTEM
from core.db import reading, unit_of_work
from ingest import sources
from ingest.models import Source
from ingest.verify import ProofKind


@click.group()
def command() -> None:
    """Sources: the tools that ring. Each has an address, a secret and a trust that follows from its proof."""


@command.command()
@click.argument("name")
@click.option("--connector", default=None, help="The product that sends; NAME itself when left out.")
@click.option(
    "--proof", type=click.Choice([str(p) for p in ProofKind]), default=None, help="How it proves its origin."
)
@click.option(
    "--trust", type=click.Choice(["low", "normal", "high"]), default=None, help="Lower than its proof allows."
)
@click.option(
    "--quiet-after", type=click.IntRange(min=60), default=None, metavar="SECONDS",
    help="An alert without a repeat for so long has ended.",
)  # fmt: skip
@click.option(
    "--learning", type=click.IntRange(min=1, max=720), default=24, show_default=True, metavar="HOURS",
    help="For so long only its critical incidents page, and nothing disruptive is done by itself.",
)  # fmt: skip
@click.option(
    "--no-learning", is_flag=True, help="Let it page like any other source from its first alert on."
)
@click.option(
    "--mapping", type=click.Path(exists=True, dir_okay=False, path_type=Path), default=None,
    help="A YAML or JSON file with the connector's configuration; for generic_json, the mapping.",
)  # fmt: skip
@click.option(
    "--secret", default=None, help="A secret that the product dictates; made by Tocsin when left out."
)
@click.option("--json", "as_json", is_flag=True, help='Print {"id", "url", "token", …} as JSON.')
def add(
    name: str, connector: str | None, proof: str | None, trust: str | None, quiet_after: int | None,
    learning: int, no_learning: bool, mapping: Path | None, secret: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Add a source and show its address and secret once.

    NAME becomes part of the address: small letters, digits and hyphens. Example: tocsin source add wazuh-hq --connector wazuh
    """
    serving.prepare_existing()
    config = plugins.as_mapping(plugins.load_yaml(mapping)[0], str(mapping)) if mapping else None
    with unit_of_work() as uow:
        source, token = sources.create(
            uow, SYSTEM, name=name, connector=connector or name.replace("-", "_"), proof=proof, config=config, trust=trust,
            quiet_after=timedelta(seconds=quiet_after) if quiet_after else None, secret=secret,
            learning=None if no_learning else timedelta(hours=learning),
        )  # fmt: skip
    _show(source, token, as_json)
    if source.learning_until and not as_json:
        echo(
            f"Until {source.learning_until:%Y-%m-%d %H:%M} UTC it is learned: only what is critical pages."
        )


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the sources as JSON.")
def list_(as_json: bool) -> None:
    """Show every source, when it was last heard, and its address without the secret."""
    serving.prepare_existing()
    with reading() as session:
        rows = list(session.scalars(select(Source).order_by(Source.name)))
    if as_json:
        echo(json.dumps([_told(row) for row in rows]))
        return
    if not rows:
        echo(
            "No sources yet. Add one:  tocsin source add wazuh   (tocsin source add --help lists the products)"
        )
    for row in rows:
        heard = row.last_seen_at.isoformat(timespec="seconds") if row.last_seen_at else "never heard"
        off = "  disabled" if row.disabled_at else ""
        echo(
            f"{row.name:24} {row.connector:20} {row.proof:12} {row.trust:7} {heard}{off}  {sources.url_of(row)}"
        )


@command.command()
@click.argument("name")
@click.option(
    "--secret", default=None, help="A secret that the product dictates; made by Tocsin when left out."
)
@click.option(
    "--finish", is_flag=True, help="Stop the older secret, once the product sends with the new one."
)
@click.option("--json", "as_json", is_flag=True, help='Print {"id", "url", "token", …} as JSON.')
def rotate(name: str, secret: str | None, finish: bool, as_json: bool) -> None:
    """Give a source a second live secret; `--finish` later retires the older one."""
    serving.prepare_existing()
    with unit_of_work() as uow:
        source = sources.get(uow, name)
        if finish:
            sources.retire_older(uow, SYSTEM, source.id)
            token = None
        else:
            token = sources.rotate(uow, SYSTEM, source.id, secret=secret)
    _show(source, token, as_json)


@command.command()
@click.option("--json", "as_json", is_flag=True, help="Print the products as JSON.")
def products(as_json: bool) -> None:
    """Show the products whose alerts Tocsin reads."""
    known = registry.sources()
    if as_json:
        echo(
            json.dumps(
                [{"name": c.name, "title": c.title, "docs": c.docs, "proofs": list(c.proofs)} for c in known]
            )
        )
        return
    for product in known:
        echo(f"{product.name:22} {product.title:38} {', '.join(product.proofs):24} {product.docs}")


def _told(source: Source) -> dict[str, Any]:
    return {
        "id": str(source.id), "name": source.name, "connector": source.connector, "proof": source.proof,
        "trust": source.trust, "url": sources.url_of(source),
        "last_seen_at": source.last_seen_at.isoformat() if source.last_seen_at else None,
        "learning_until": source.learning_until.isoformat() if source.learning_until else None,
        "disabled": source.disabled_at is not None,
    }  # fmt: skip


def _show(source: Source, token: str | None, as_json: bool) -> None:
    url = sources.url_of(source, token)
    if as_json:
        echo(json.dumps({**_told(source), "url": url, "token": token}))
        return
    echo(f"{source.name} ({source.connector}) posts to  {url}")
    if token is None:
        echo("Only its newest secret works now.")
    elif source.proof != ProofKind.URL_TOKEN:
        echo(f"Its secret ({source.proof}), shown this once:  {token}")
