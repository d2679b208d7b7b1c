"""`tocsin web`: pages, API and the ingest door of the scaled shape."""

import click

from cli import listening, migrate, serving, waiting
from core.errors import Invalid


@click.command()
def command() -> None:
    """Serve pages, API and ingest; workers run elsewhere (scaled shape: PostgreSQL and Redis).

    Needs TOCSIN_DATABASE_URL, TOCSIN_REDIS_URL and one TOCSIN_SECRET_KEY for all processes. Start as many as you like.
    """
    given = serving.prepare()
    if given.embedded:
        raise Invalid(
            "TOCSIN_REDIS_URL is not set: `tocsin web` needs workers; `tocsin serve` is all in one process."
        )
    listening.ready_to(given)
    waiting.for_database()
    migrate.require_current()
    serving.first_start()
    app = serving.application()
    with serving.observed("web"), serving.linked(given, listen=True):
        listening.serve(given, app)
