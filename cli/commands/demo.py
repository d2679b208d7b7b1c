"""`tocsin demo`: Tocsin with something going on."""

import os
import threading
from pathlib import Path

import click

from cli import demonstration, listening, serving
from cli.saying import echo
from core import logs
from core.errors import Invalid
from core.settings import Settings, configure


@click.command()
@click.option(
    "--fresh/--go-on", default=True, show_default=True, help="Begin anew, or go on where the last demo was."
)
def command(fresh: bool) -> None:
    """Start Tocsin with its own data and people, and let tools send it alerts over HTTP.

    Everything is real but nothing leaves this machine: channels and products are not called. Its data is in
    ./demo-data (or $TOCSIN_DATA_DIR/demo); your own installation is not touched.
    """
    own = os.environ.get("TOCSIN_DATA_DIR")
    folder = Path(own) / "demo" if own else Path("demo-data")
    env = {
        name: value
        for name, value in os.environ.items()
        if name
        in (
            "TOCSIN_HOST",
            "TOCSIN_PORT",
            "TOCSIN_BASE_URL",
            "TOCSIN_ALLOW_PLAIN_HTTP",
            "TOCSIN_TRUSTED_PROXIES",
        )
        or name.startswith("TOCSIN_TLS")
    }
    playbooks = Path(os.environ.get("TOCSIN_PLAYBOOKS") or "playbooks.yaml")
    if not playbooks.exists():
        raise Invalid(
            f"There is no {playbooks} here: start the demo in Tocsin's folder, or set TOCSIN_PLAYBOOKS."
        )
    if fresh:
        demonstration.clear(folder)
    given = configure(Settings.load({**env, "TOCSIN_DATA_DIR": str(folder)}).with_(
        muzzled=True, report_form=True, second_factor_required=False, egress_allow=("127.0.0.0/8", "::1/128"),
        playbooks=playbooks,
    ))  # fmt: skip
    listening.ready_to(serving.prepare())
    listening.require_port(given)
    logs.configure("WARNING")
    if fresh:
        echo("\n  The demo plays what has happened here so far; this takes a few seconds.")
    stage = demonstration.prepared(given, fresh=fresh)
    app = serving.application()
    with serving.observed("serve"), serving.working():
        threading.Thread(
            target=demonstration.play, args=(given, stage), kwargs={"fresh": fresh}, name="demo", daemon=True
        ).start()
        listening.serve(given, app, quiet=True)
