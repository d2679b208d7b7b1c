"""Reads where a mail service is, and how it is spoken to, from a URL with options; never repeating the URL in an error."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

from core.errors import Invalid


@dataclass(frozen=True)
class MailUrl:
    """The parts of scheme://user:password@host:port/path?option=1, unquoted; of an option given twice the last one counts."""

    scheme: str
    host: str
    port: int | None
    user: str
    password: str = field(repr=False)
    path: str
    options: Mapping[str, str]

    def yes(self, option: str, default: str) -> bool:
        """Whether an option is 1."""
        return self.options.get(option, default) == "1"


def read(url: str, what: str, schemes: Sequence[str], options: Sequence[str]) -> MailUrl | None:
    """The parts of a URL; None when it has no host, or none of the schemes. `what` names the service in errors.

    Raises Invalid when it cannot be taken apart, or has an option that is not among `options`.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise Invalid(f"the {what}'s URL cannot be read") from None
    if parts.scheme not in schemes or not host:
        return None
    given = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if unknown := given.keys() - set(options):
        raise Invalid(f'the {what}\'s URL has an unknown option "{min(unknown)}"')
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return MailUrl(parts.scheme, host, port, user, password, unquote(parts.path), given)
