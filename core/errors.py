"""Errors that carry a code, a status and a sentence a person can act on; one handler renders them."""

from dataclasses import dataclass
from typing import Any, ClassVar


class TocsinError(Exception):
    """Something went wrong in a way we know; the message is shown to the person who asked."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500

    def __init__(self, message: str, **fields: Any) -> None:
        super().__init__(message)
        self.message = message
        self.fields = fields


@dataclass(frozen=True)
class Problem:
    """One thing wrong with an input: where (a dotted path, or file:line) and what."""

    path: str
    message: str


class Invalid(TocsinError):
    """What was sent cannot be accepted as it is."""

    code, status = "invalid", 422

    def __init__(self, message: str, problems: list[Problem] | None = None, **fields: Any) -> None:
        super().__init__(message, **fields)
        self.problems = problems or []


class Unauthenticated(TocsinError):
    """Nobody is signed in, or the token is not known."""

    code, status = "unauthenticated", 401


class Forbidden(TocsinError):
    """The actor is known but may not do this."""

    code, status = "forbidden", 403


class NeedsSecondFactor(Forbidden):
    """The actor may do this, but must show a second factor first.

    `enrolled` says whether they have one; `problem` what was wrong with the one they have just shown.
    """

    code = "second-factor"

    def __init__(self, message: str, *, enrolled: bool, problem: str = "") -> None:
        super().__init__(message)
        self.enrolled, self.problem = enrolled, problem


class NotFound(TocsinError):
    """There is no such thing, or the actor may not see it."""

    code, status = "not-found", 404


class Conflict(TocsinError):
    """The thing is in a state that does not allow this."""

    code, status = "conflict", 409


class Stale(TocsinError):
    """Somebody changed the thing since it was read."""

    code, status = "stale", 412


class TooLarge(TocsinError):
    """The body is larger than what is accepted."""

    code, status = "too-large", 413


class TooMany(TocsinError):
    """The actor asks too often; `retry_after` is in seconds."""

    code, status = "too-many", 429

    def __init__(self, message: str, retry_after: int, **fields: Any) -> None:
        super().__init__(message, **fields)
        self.retry_after = retry_after


class Unavailable(TocsinError):
    """Tocsin cannot do this just now; `retry_after` is in seconds."""

    code, status = "unavailable", 503

    def __init__(self, message: str, retry_after: int = 5, **fields: Any) -> None:
        super().__init__(message, **fields)
        self.retry_after = retry_after
