"""What can go wrong on the way out, and whether the other side may have seen the request."""

from typing import Any, ClassVar

from core.errors import TocsinError


class NetError(TocsinError):
    """Something outside could not be reached or did not do what was asked.

    `sent` is False only when the request surely never reached the other side: it is safe to try again. True means
    unknown. The message names scheme, host and port, never a path, a query or a credential.
    """

    code: ClassVar[str] = "net"
    status: ClassVar[int] = 502

    def __init__(self, message: str, *, sent: bool = False, **fields: Any) -> None:
        super().__init__(message, **fields)
        self.sent = sent

    @property
    def before_send(self) -> bool:
        """True when nothing was sent."""
        return not self.sent


class NetRefused(NetError):
    """A rule of this installation forbids going there; nothing was sent."""

    code, status = "net-refused", 403


class NetFailed(NetError):
    """The connection or the exchange failed."""

    code = "net-failed"


class NetTimeout(NetFailed):
    """The other side did not answer in time."""

    code, status = "net-timeout", 504


class ResponseTooLarge(NetFailed):
    """The answer was larger than allowed; `answered` is its HTTP status: what was asked may well be done."""

    code = "net-response-too-large"

    def __init__(self, message: str, answered: int) -> None:
        super().__init__(message, sent=True)
        self.answered = answered


class LoginRefused(NetFailed):
    """The other side did not accept our credentials; the request itself was not sent."""

    code = "net-login"


class SmtpRefused(NetError):
    """The mail server answered no; `permanent` means that trying again is pointless (5xx)."""

    code = "smtp-refused"

    def __init__(self, message: str, *, permanent: bool, reply_code: int) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.reply_code = reply_code


class LdapRefused(NetError):
    """The directory answered no; `result` is its result code (RFC 4511 §4.1.9)."""

    code = "ldap-refused"

    def __init__(self, message: str, *, result: int) -> None:
        super().__init__(message, sent=True)
        self.result = result
