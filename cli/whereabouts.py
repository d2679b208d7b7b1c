"""Looks whether there is an installation where a command was pointed to, before anything is made there."""

from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from core.errors import Invalid
from core.settings import Settings


def address(given: Settings) -> URL:
    """The database's address in its parts. Raises Invalid, without quoting it: a password may stand in it."""
    try:
        return make_url(given.database_url)
    except (ArgumentError, ValueError):
        raise Invalid(
            "TOCSIN_DATABASE_URL cannot be read: write sqlite:////path/tocsin.db or postgresql://user@host:5432/name."
        ) from None


def there(given: Settings) -> bool:
    """Whether there may be an installation: False when the database is an SQLite file that is not there.

    Whether a PostgreSQL is there is seen when it is asked. Raises Invalid as address().
    """
    url = address(given)
    return url.get_backend_name() != "sqlite" or Path(url.database or "").is_file()


def require_there(given: Settings) -> None:
    """Raises Invalid, saying where it looked and what to do, when there cannot be an installation."""
    if not there(given):
        raise Invalid(
            f"There is no installation in {given.data_dir.absolute()}: {address(given).database} is not there. Set TOCSIN_DATA_DIR (or "
            "TOCSIN_DATABASE_URL) to what your Tocsin runs with; `tocsin serve` makes a new one."
        )


def require_key(given: Settings) -> None:
    """Raises Invalid when the secret key is not where it was looked for."""
    if not given.secret_key:
        raise Invalid(
            f"There is no secret key: TOCSIN_SECRET_KEY is not set, and {given.data_dir.absolute()} has no secret.key. Give "
            "this command the environment that Tocsin runs with."
        )
