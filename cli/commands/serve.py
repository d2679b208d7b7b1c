"""`tocsin serve`: everything in one process."""

import click

from cli import alone, keeping_watch, listening, serving, waiting
from core.errors import Invalid
from core.settings import looked_up
from ingest import mail_ways


@click.command()
def command() -> None:
    """Start Tocsin: pages, API, ingest and workers in one process, on an embedded SQLite database.

    \b
    TOCSIN_DATA_DIR       where everything is kept                     ./data
    TOCSIN_HOST, _PORT    where it listens                             127.0.0.1:8000
    TOCSIN_BASE_URL       how people and tools reach it                that address
    TOCSIN_TLS            generate: speak TLS, signed by itself        plain HTTP, on this machine only
    TOCSIN_TLS_CERTIFICATE, _KEY  speak TLS with these PEM files       none
    TOCSIN_TRUSTED_PROXIES  whose X-Forwarded-For is believed          nobody's
    TOCSIN_DATABASE_URL   sqlite:///… or postgresql://…                SQLite in the data directory
    TOCSIN_SMTP_URL       smtp[s]://user:password@host:port            no mail
    TOCSIN_SMTP_FROM      the sender of its mail                       tocsin@localhost
    TOCSIN_MAIL_LISTEN    takes mail in by SMTP, such as 127.0.0.1:2525  as a page says
    TOCSIN_IMAP_URL       takes mail out of this mailbox              as a page says
    TOCSIN_PLAYBOOKS      the playbooks' file                          ./playbooks.yaml
    TOCSIN_SECRET_KEY     seals stored secrets, at least 32 characters generated into the data directory
    TOCSIN_EGRESS_ALLOW   internal hosts and networks it may speak to  none
    TOCSIN_WATCH_NOTIFY   whom the watch over Tocsin itself tells      nobody; see `tocsin watch`
    TOCSIN_HEARTBEAT_URL  told every minute that all is well           as a page says
    TOCSIN_WITNESS        who keeps the journal's checkpoints        none
    TOCSIN_REDIS_URL      must be unset here; see `tocsin web`
    """  # noqa: D301 - \b keeps click from folding the lines
    if not looked_up().embedded:
        raise Invalid(
            "TOCSIN_REDIS_URL is set: start `tocsin web`, `tocsin worker` and `tocsin beat` instead."
        )
    given = serving.prepare()
    listening.ready_to(given)
    serving.ready_for_mail(given)
    waiting.for_database()
    listening.require_port(given)
    serving.set_up(given)
    serving.first_start()
    alone.take_over(given)
    app = serving.application()
    with (
        serving.observed("serve"),
        keeping_watch.watched(given),
        serving.working(),
        mail_ways.kept(),
    ):
        listening.serve(given, app)
