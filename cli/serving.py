"""Starts and stops the parts of one process: database, workers, live updates, web server."""

import gc
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select

from cli import assemble, first_steps, migrate, waiting, whereabouts
from cli.saying import echo
from core import db, live, logs, processes, queue, sealing, telemetry, witness
from core.actors import SYSTEM
from core.auth import passkeys, users
from core.db import reading, unit_of_work
from core.errors import Conflict, Invalid
from core.settings import Settings, looked_up, settings
from incidents import rules, upkeep
from ingest import mail_poll
from playbooks import publishing
from playbooks.models import Playbook

if TYPE_CHECKING:
    from starlette.types import ASGIApp

log = logs.get(__name__)
_TURN = 0.0005  # seconds: whoever the database, a product or a sender has answered waits so long for its turn, not Python's 5 ms
_USUAL = (700, 10, 10)  # Python's own thresholds


def prepare() -> Settings:
    """Logs, settings, database connection and every package: what each command that may make an installation begins with."""
    logs.configure()
    given = settings()
    logs.configure(given.log_level)
    whereabouts.address(given)
    db.configure(given)
    assemble.load()
    return given


def prepare_new() -> Settings:
    """As prepare(), where the database must answer at once. Raises Unavailable, having made nothing, when it does not."""
    logs.configure()
    looked = looked_up()
    if whereabouts.there(looked):
        db.configure(looked)
        waiting.for_database(timedelta(0))
    given = prepare()
    waiting.for_database(timedelta(0))
    return given


def prepare_existing() -> Settings:
    """As prepare(), for what needs an installation of this version; makes nothing where there is none.

    Raises Invalid, saying where it looked and what to do, and Unavailable when the database is away or of another version.
    """
    logs.configure()
    given = looked_up()
    whereabouts.require_there(given)
    whereabouts.require_key(given)
    db.configure(given)
    waiting.for_database(timedelta(0))
    migrate.require_current()
    return prepare()


def looked_at() -> tuple[str | None, str]:
    """The database's revision (None when it is empty or not there) and the one this version needs; makes nothing.

    Raises Unavailable when the database is away.
    """
    logs.configure()
    given = looked_up()
    if not whereabouts.there(given):
        return None, migrate.known()[-1]
    db.configure(given)
    waiting.for_database(timedelta(0))
    return migrate.state()


def prepare_scaled(command: str) -> tuple[Settings, str]:
    """As prepare(), for a process of the scaled shape; returns Redis' address too.

    Raises Invalid, having made nothing, when that is not set.
    """
    redis_url = looked_up().redis_url
    if redis_url is None:
        raise Invalid(
            f"TOCSIN_REDIS_URL is not set: `tocsin {command}` belongs to the scaled shape; `tocsin serve` is all in one process."
        )
    return prepare(), redis_url


def settle() -> None:
    """Starting is over: what it has made stays, and garbage is looked for as usual, among what comes from now on."""
    gc.freeze()
    gc.set_threshold(*_USUAL)


@contextmanager
def observed(role: str) -> Iterator[None]:
    """Count, say that this process lives, and send traces where they are wanted, for the length of the block."""
    with telemetry.collected(role, processes.version()), processes.announced(role):
        yield


@contextmanager
def working() -> Iterator[queue.Dispatcher]:
    """Run this process's workers and its sealer for the length of the block."""
    sys.setswitchinterval(_TURN)
    with unit_of_work() as uow:
        witness.seed(uow)
        mail_poll.seed(uow)
    dispatcher = queue.Dispatcher()
    dispatcher.start()
    queue.wake_through(dispatcher.wake)
    try:
        with sealing.running():
            yield dispatcher
    finally:
        queue.wake_through()
        dispatcher.stop()


def ready_for_mail(given: Settings) -> None:
    """Have what taking mail in by SMTP needs, where it is wanted. Raises Invalid where it would not be safe."""
    if given.mail_listen is not None:
        from ingest import mail_listen  # its server is only loaded where it is wanted

        mail_listen.ready_to(given)


@contextmanager
def linked(given: Settings, *, listen: bool) -> Iterator[None]:
    """In the scaled shape: wake workers and tell open pages over Redis, and hear what others tell."""
    if given.redis_url is None:
        yield
        return
    publisher = queue.Publisher(given.redis_url)
    live.relay_through(publisher.changed)
    stop = threading.Event()
    if listen:
        queue.wake_through(publisher.wake)
        threading.Thread(
            target=queue.relay_live, args=(stop, given.redis_url), name="live", daemon=True
        ).start()
    try:
        yield
    finally:
        stop.set()
        live.relay_through(None)
        queue.wake_through()
        publisher.stop()


def set_up(given: Settings) -> None:
    """Bring the embedded default to life: migrate, default rules, the playbooks of the file."""
    migrate.upgrade()
    seed()
    _publish(given)


def seed() -> None:
    """Default grouping rules and the record's chores; what is there already stays as it is."""
    with unit_of_work() as uow:
        rules.seed(uow)
        upkeep.seed(uow)


def first_playbooks(given: Settings) -> None:
    """Publish the file in an installation that has no playbooks yet; later only `tocsin playbooks apply` does."""
    with reading() as session:
        if session.scalar(select(Playbook.id).limit(1)) is not None:
            return
    _publish(given)


def _publish(given: Settings) -> None:
    if given.playbooks.exists():
        publishing.load_at_start()
    else:
        log.warning(
            "there is no file of playbooks, so none was published: set TOCSIN_PLAYBOOKS, or run `tocsin playbooks apply FILE`",
            extra={"file": str(given.playbooks.absolute())},
        )


def first_start() -> None:
    """Print one link on which the first administrator sets a password, as long as nobody has one."""
    with reading() as session:
        if not users.nobody_yet(session):
            return
        admin = users.by_email(session, "admin@localhost")
    if admin is None:
        try:
            with unit_of_work() as uow:
                admin = users.create(
                    uow, SYSTEM, email="admin@localhost", name="Administrator", roles=["administrator"]
                )
                first_steps.on_call(
                    uow, [admin]
                )  # so that what is urgent reaches somebody from the first minute
        except Conflict:  # another process that starts at the same moment was quicker, and prints the link
            return
    echo(
        f"\n  First start: set your password at {passkeys.home()}{users.start_path(admin)}\n"
    )
    sys.stdout.flush()


def application() -> "ASGIApp":
    """Pages, API and ingest door; made before workers start, which would only be in its way."""
    from web.app import create_app

    return create_app()
