"""Speak with a directory (LDAP, Active Directory): bind, search, modify."""

import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import Any
from urllib.parse import urlsplit

from core.errors import Invalid
from core.net import patience
from core.net.egress import Egress, current, resolve
from core.net.errors import LdapRefused, LoginRefused, NetFailed, NetTimeout

# ldap3 takes long to import and few installations have a directory: it is imported when one is spoken with.
REPLACE, ADD, DELETE = "MODIFY_REPLACE", "MODIFY_ADD", "MODIFY_DELETE"
_INVALID_CREDENTIALS = 49
MOST_BYTES = 4 * 1024 * 1024
"""What one connection may answer altogether."""


def escape(value: str) -> str:
    """A value for inside a search filter (RFC 4515 §3): nothing in it can change the filter."""
    from ldap3.utils.conv import escape_filter_chars

    escaped: str = escape_filter_chars(value)
    return escaped


def escape_name(value: str) -> str:
    """A value for inside a distinguished name (RFC 4514 §2.4)."""
    from ldap3.utils.dn import escape_rdn

    escaped: str = escape_rdn(value)
    return escaped


@dataclass(frozen=True)
class Found:
    """One entry: every attribute is a list of texts (or bytes when it is none)."""

    dn: str
    attributes: Mapping[str, list[str | bytes]]

    def first(self, name: str) -> str | bytes | None:
        """The first value of an attribute, whatever its case; None when it has none."""
        wanted = name.lower()
        return next(
            (values[0] for key, values in self.attributes.items() if key.lower() == wanted and values), None
        )


class Directory:
    """An open, bound connection."""

    def __init__(self, connection: Any, place: str) -> None:
        self._connection = connection
        self._place = place

    def search(
        self,
        base: str,
        query: str,
        attributes: Sequence[str] = (),
        *,
        limit: int = 100,
        scope: str = "subtree",
    ) -> list[Found]:
        """Entries below `base` that match the filter `query` (scope: subtree, level or base); at most `limit`. Escape values with escape().

        Raises LdapRefused, NetTimeout or NetFailed.
        """
        import ldap3

        scopes = {"subtree": ldap3.SUBTREE, "level": ldap3.LEVEL, "base": ldap3.BASE}
        self._do(
            "search", base, query, search_scope=scopes[scope], attributes=list(attributes) or ldap3.NO_ATTRIBUTES,
            size_limit=limit, accepted=(0, 4),
        )  # fmt: skip
        return [
            Found(
                entry["dn"],
                {
                    name: [_text(value) for value in values]
                    for name, values in entry["raw_attributes"].items()
                },
            )
            for entry in self._connection.response or []
            if entry.get("type") == "searchResEntry"
        ][:limit]

    def modify(self, dn: str, changes: Mapping[str, Sequence[tuple[str, Sequence[str | bytes]]]]) -> None:
        """Change attributes: {"userAccountControl": [(REPLACE, ["514"])]}; all or nothing.

        Raises LdapRefused (nothing changed), or NetTimeout and NetFailed with sent=True (unknown).
        """
        wanted = {name: [(how, list(values)) for how, values in steps] for name, steps in changes.items()}
        self._do("modify", dn, wanted)

    def _do(self, operation: str, *arguments: Any, accepted: tuple[int, ...] = (0,), **options: Any) -> None:
        from ldap3.core.exceptions import LDAPException

        writes = operation != "search"
        try:
            getattr(self._connection, operation)(*arguments, **options)
        except (LDAPException, OSError) as error:
            raise _failure(self._place, error, sent=writes) from None
        _accept(self._place, self._connection.result, accepted)


@contextmanager
def connect(
    url: str,
    *,
    user: str = "",
    password: str = "",
    starttls: bool = False,
    ca: str | None = None,
    verify: bool = True,
    timeout: float = 10.0,
    total: float = 30.0,
    egress: Egress | None = None,
) -> Iterator[Directory]:
    """Open and bind: ldaps://dc1.example.org or ldap://dc1.example.org (with starttls=True, or without TLS).

    user: a distinguished name, or user@domain for Active Directory; empty binds anonymously. Referrals are not
    followed. `timeout` and `total` are seconds: for one answer, and for everything until the block ends, however little and
    however slowly the directory says it; it may say MOST_BYTES. Raises LoginRefused, LdapRefused, NetRefused, NetTimeout or NetFailed; Invalid for a URL.
    """
    import ldap3
    from ldap3.core.exceptions import LDAPException

    host, port, secure = _read_url(url)
    place = f"{host}:{port}"
    if user and not password:
        raise Invalid(
            "a directory accepts a user without a password as anonymous: set the password"
        )  # RFC 4513 §5.1.2
    rules = egress if egress is not None else current(allow_private=True)
    problem: Exception = NetFailed(f"{place} cannot be reached")
    tls = ldap3.Tls(
        validate=ssl.CERT_REQUIRED if verify else ssl.CERT_NONE,
        ca_certs_data=ca,
        valid_names=[host],
        sni=host,
    )
    with patience.within(total):
        for address in resolve(host, port, rules, patience.left(timeout) or timeout):
            left = patience.left(timeout) or timeout
            server = ldap3.Server(
                str(address), port=port, use_ssl=secure, tls=tls, get_info=ldap3.NONE, connect_timeout=left
            )
            connection = ldap3.Connection(
                server, user=user or None, password=password or None, auto_referrals=False, receive_timeout=ceil(left),
                raise_exceptions=False, auto_bind=ldap3.AUTO_BIND_NONE,
            )  # fmt: skip
            try:
                connection.open(read_server_info=False)
            except (LDAPException, OSError) as error:
                problem = _failure(place, error, sent=False)
                if connection.socket is not None:
                    connection.socket.close()
                continue
            break
        else:
            raise problem
        connection.strategy.receiving = partial(_receive, connection, timeout, [MOST_BYTES])
        try:
            _bind(connection, place, starttls and not secure)
            yield Directory(connection, place)
        finally:
            with suppress(LDAPException, OSError):
                connection.unbind()


def _receive(connection: Any, timeout: float, left: list[int]) -> list[bytes]:
    """The messages that have come, in place of ldap3's own way, which waits anew for every byte and keeps all that comes.

    `left` holds how many bytes this connection may still receive.
    """
    from ldap3.core.exceptions import LDAPSocketReceiveError
    from ldap3.strategy.base import BaseStrategy

    size_of: Any = BaseStrategy.compute_ldap_message_size  # -1: too little has come to tell
    deadline = patience.until(time.monotonic() + timeout)
    messages: list[bytes] = []
    held = b""
    while True:
        try:
            connection.socket.settimeout(max(deadline - time.monotonic(), 0.001))
            data = connection.socket.recv(65_536)
        except OSError as error:
            connection.socket.close()
            raise LDAPSocketReceiveError(str(error)) from error
        left[0] -= len(data)
        if left[0] < 0:
            connection.socket.close()
            raise LDAPSocketReceiveError(f"more than {MOST_BYTES:,} bytes")
        held += data
        while held and -1 < (size := size_of(held)) <= len(held):
            messages.append(held[:size])
            held = held[size:]
        if not held or not data:
            return messages


def _bind(connection: Any, place: str, starttls: bool) -> None:
    from ldap3.core.exceptions import LDAPException

    try:
        if starttls:
            connection.start_tls(read_server_info=False)
        connection.bind(read_server_info=False)
    except (LDAPException, OSError) as error:
        raise _failure(place, error, sent=False) from None
    result = connection.result or {}
    if result.get("result") == _INVALID_CREDENTIALS:
        raise LoginRefused(f"{place} refused the user name or password")
    _accept(place, result, (0,))


def _accept(place: str, result: Mapping[str, Any], accepted: tuple[int, ...]) -> None:
    code = int(result.get("result", -1))
    if code not in accepted:
        said = " ".join(str(result.get("message") or "").split())[:200]
        raise LdapRefused(
            f"{place} answered {result.get('description', code)}{': ' + said if said else ''}", result=code
        )


def _failure(place: str, error: Exception, *, sent: bool) -> NetFailed | LdapRefused:
    from ldap3.core.exceptions import LDAPOperationResult

    if isinstance(error, LDAPOperationResult):
        return LdapRefused(f"{place} answered {error.description}", result=int(error.result))
    text = str(error).lower()
    if "timed out" in text or "timeout" in text:
        return NetTimeout(f"{place} did not answer in time", sent=sent)
    if "certificate" in text:
        return NetFailed(f"{place} has a certificate we do not trust, or one for another name", sent=False)
    return NetFailed(f"{place} cannot be reached: {type(error).__name__}", sent=sent)


def _text(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def _read_url(url: str) -> tuple[str, int, bool]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise Invalid("the directory's URL cannot be read") from None
    if parts.scheme not in ("ldap", "ldaps") or not host or parts.username:
        raise Invalid("a directory is written ldaps://host or ldap://host:389, without user name or password")
    return host, port or (636 if parts.scheme == "ldaps" else 389), parts.scheme == "ldaps"
