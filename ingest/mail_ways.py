"""Keeps a listener for mail by SMTP as the settings say it should be now, and tells how it stands in this process."""

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass

from core import chosen, logs, stopping
from core.db import reading
from core.errors import TocsinError
from core.settings import Settings

log = logs.get(__name__)

EVERY = 3.0
"""Seconds until a change that another process made is taken up."""
RETRY = 30.0
"""Seconds until a place where nobody could listen is tried again."""

_Wanted = tuple[str | None, tuple[str, ...]]


@dataclass(frozen=True)
class Standing:
    """How it stands: where mail is taken in, or why it is not; `here` says whether this process is the one that listens."""

    here: bool = False
    at: str | None = None
    problem: str = ""


class _Keeper:
    """The listener of this process, and the thread that follows the settings."""

    def __init__(self) -> None:
        self.standing = Standing(here=True)
        self._open: AbstractContextManager[None] | None = None
        self._has: _Wanted = (None, ())
        self._wake, self._stop, self._turn = threading.Event(), threading.Event(), threading.Lock()
        self._thread = threading.Thread(target=self._follow, name="mail-ways", daemon=True)

    def start(self, given: Settings) -> None:
        """Listen as these settings say; raises Invalid where what the environment says cannot be done."""
        try:
            self._take_up(given)
        except TocsinError:
            if "mail_listen" in given.fixed:
                raise
        self._thread.start()

    def stop(self) -> None:
        """Listen no longer."""
        self._stop.set()
        self._wake.set()
        self._thread.join(stopping.MAIL)
        self._close()

    def look_again(self) -> None:
        """Take up what is set now, in this thread."""
        with reading() as session:
            given = chosen.effective(session)
        with suppress(TocsinError):
            self._take_up(given)

    def _follow(self) -> None:
        tried = time.monotonic()
        while not self._stop.is_set():
            self._wake.wait(EVERY)
            if self._stop.is_set():
                return
            with suppress(TocsinError):  # a database that cannot be asked has not changed its mind
                with reading() as session:
                    given = chosen.effective(session)
                again = bool(self.standing.problem) and time.monotonic() - tried > RETRY
                if _wanted(given) != self._has or again:
                    tried = time.monotonic()
                    self._take_up(given)

    def _take_up(self, given: Settings) -> None:
        with self._turn:
            wanted = _wanted(given)
            if wanted == self._has and not self.standing.problem:
                return
            self._close()
            self._has = wanted
            if given.mail_listen is None:
                return
            from ingest import mail_listen  # its server is only loaded where it is wanted

            listener = mail_listen.listening(given)
            try:
                listener.__enter__()
            except TocsinError as error:
                log.warning("mail is not taken in by SMTP", extra={"reason": error.message})
                self.standing = Standing(here=True, problem=error.message)
                raise
            self._open, self.standing = listener, Standing(here=True, at=given.mail_listen)

    def _close(self) -> None:
        listener, self._open = self._open, None
        self.standing = Standing(here=True)
        if listener is not None:
            listener.__exit__(None, None, None)


_keepers: list[_Keeper] = []  # one at most


def _wanted(given: Settings) -> _Wanted:
    return given.mail_listen, given.mail_to


@contextmanager
def kept() -> Iterator[None]:
    """Take mail in by SMTP wherever the settings say so, for the length of the block; a change needs no restart.

    Raises Invalid when what the environment says cannot be done.
    """
    keeper = _Keeper()
    with reading() as session:
        now = chosen.effective(session)
    keeper.start(now)
    _keepers[:] = [keeper]
    try:
        yield
    finally:
        _keepers.clear()
        keeper.stop()


def standing() -> Standing:
    """How it stands in this process."""
    return _keepers[0].standing if _keepers else Standing()


def take_up() -> Standing:
    """Have a change taken up at once in this process, if it is the one that listens; how it stands then."""
    for keeper in _keepers:
        keeper.look_again()
    return standing()
