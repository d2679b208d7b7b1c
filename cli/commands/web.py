"""`tocsin web`: pages, API and the ingest door of the scaled shape."""

import click

from cli import listening, migrate, serving, waiting


@click.command()
def command() -> None:
    """Serve pages, API and ingest; workers run elsewhere (scaled shape: PostgreSQL and Redis).

    Needs TOCSIN_DATABASE_URL, TOCSIN_REDIS_URL and one TOCSIN_SECRET_KEY for all processes. Start as many as you like.
    """
    given, _redis_url = serving.prepare_scaled("web")
    listening.ready_to(given)
    waiting.for_database()
    listening.require_port(given)
    migrate.require_current()
    serving.first_start()
    app = serving.application()
    with serving.observed("web"), serving.linked(given, listen=True):
        listening.serve(given, app)
