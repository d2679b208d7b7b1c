"""Listens for requests: in the clear only where that was asked for, with a certificate that is kept fresh."""

import errno
import signal
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING


from cli import serving, turning_away
from cli.saying import echo
from core import certificates, host, logs, reach, stopping, supervisor
from core.auth import passkeys
from core.certificates import Shown
from core.errors import Invalid
from core.settings import Settings
from ingest import inbox

if TYPE_CHECKING:
    from starlette.types import ASGIApp

log = logs.get(__name__)

LOOK_EVERY = 30  # seconds between two looks at the certificate's files


def ready_to(given: Settings) -> None:
    """Have everything that listening needs. Raises Invalid, saying how to mend it, where it would not be safe or not work."""
    if given.tls_certificate is None:
        if not (host.is_loopback(given.host) or given.trusted_proxies or given.allow_plain_http):
            raise Invalid(
                f"TOCSIN_HOST={given.host} lets other machines in, and without TLS they would send passwords and alerts in "
                "the clear. Choose one:\n"
                "  TLS of Tocsin's own   TOCSIN_TLS=generate, or TOCSIN_TLS_CERTIFICATE and TOCSIN_TLS_KEY with your files\n"
                "  a proxy with TLS      TOCSIN_HOST=127.0.0.1 beside it, or TOCSIN_TRUSTED_PROXIES with its address\n"
                "  in the clear          TOCSIN_ALLOW_PLAIN_HTTP=1, where nobody else is on the network, as in a container"
            )
        return
    if given.tls_generated and certificates.ensure(
        *_files(given), reach.own_names(given.host, given.base_url)
    ):
        log.info("made a certificate", extra={"file": str(given.tls_certificate)})
    _context(given)


def require_port(given: Settings) -> None:
    """Raises Invalid, saying what to do, when nobody could listen there just now, as when somebody does already."""
    why = host.cannot_listen(given.host, given.port)
    if why is None:
        return
    if why.errno == errno.EADDRINUSE:
        raise Invalid(
            f"Port {given.port} of {given.host} is taken, perhaps by a Tocsin that runs already: `ss -ltnp 'sport = :{given.port}'` "
            f"shows by whom. Stop that, or set TOCSIN_PORT to another, such as TOCSIN_PORT={given.port + 1 if given.port < 65535 else 8000}."
        )
    if why.errno == errno.EACCES:
        raise Invalid(
            f"Port {given.port} may not be used by this user: set TOCSIN_PORT to one above 1023, such as TOCSIN_PORT=8443."
        )
    raise Invalid(
        f"Nobody can listen on {given.host}, port {given.port}: {why.strerror or why}. Correct TOCSIN_HOST or TOCSIN_PORT."
    )


def announce(given: Settings) -> None:
    """Print the address that others reach, and what their browsers can compare."""
    others = []
    if host.is_any(given.host) and not host.is_loopback(reach.shown_host(given.host)):
        others = [f"{given.base_url.partition('://')[0]}://{name}:{given.port}" for name in host.names()[:1]]
    also = f"   (also {others[0]})" if others and others[0] != given.base_url else ""
    echo(f"Tocsin is ready on {passkeys.home()}{also}")
    if shown := certificate_of(given):
        whose = "signed by itself" if shown.self_signed else "certificate"
        echo(f"  TLS {whose}, until {shown.ends:%Y-%m-%d}, SHA-256 fingerprint {shown.fingerprint}")
    elif not host.is_loopback(given.host) and given.allow_plain_http:
        echo(
            "  In the clear, as TOCSIN_ALLOW_PLAIN_HTTP says: whoever is on the network can read along."
        )
    elif given.only_proxies:
        echo(
            f"  In the clear, for the proxy that ends TLS: only {', '.join(given.trusted_proxies)} and this machine are let in."
        )
    sys.stdout.flush()


def _ready(given: Settings, quiet: bool) -> None:
    if not quiet:
        announce(given)
    supervisor.tell("READY=1")


def certificate_of(given: Settings) -> Shown | None:
    """What the certificate says; None without TLS of our own."""
    return certificates.read(given.tls_certificate) if given.tls_certificate else None


def serve(given: Settings, app: "ASGIApp", *, quiet: bool = False) -> None:
    """Serve the application until SIGTERM or SIGINT, saying where unless `quiet`; open requests get 2 s to end."""
    import uvicorn

    from cli import leaving

    # Threads that work beside the door must not hold it up: it waits for its turn half a millisecond, not five.
    sys.setswitchinterval(0.0005)
    fresh = Fresh(given) if given.tls_certificate else None
    config = uvicorn.Config(
        turning_away.front(given, app), host=given.host, port=given.port, log_config=None, access_log=False, server_header=False,
        timeout_graceful_shutdown=stopping.REQUESTS, limit_concurrency=2000, backlog=2048,
        proxy_headers=False,  # ours is in front of the application already
        timeout_keep_alive=75,  # longer than proxies keep their side: theirs must be the first to end
        ssl_context_factory=(lambda *_: fresh.context) if fresh else None,
        callback_notify=fresh.look if fresh else None, timeout_notify=LOOK_EVERY,
    )  # fmt: skip
    # uvicorn raises the signal that stopped it once more; whoever called us still has workers to stop in order.
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda *_: None)
    if fresh and not sys.stdin.isatty():  # a terminal that is closed still ends what runs in it
        signal.signal(signal.SIGHUP, lambda *_: fresh.load())
    serving.settle()
    try:
        leaving.server(config, ready=lambda: _ready(given, quiet)).run()
    finally:
        inbox.stop()  # what was answered with 202 is stored; this ends the thread that stored it
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a second Ctrl-C ends it at once


class Fresh:
    """The TLS context that is served with; new connections get the files' certificate as soon as it changes."""

    def __init__(self, given: Settings) -> None:
        self.given = given
        self.context = _context(given)
        self._seen = self._stamps()

    async def look(self) -> None:
        """Renew our own certificate before it ends; load what has changed. Runs in the server's loop."""
        if self.given.tls_generated:
            certificates.ensure(*_files(self.given), [])
        if self._stamps() != self._seen:
            self.load()

    def load(self) -> None:
        """Serve new connections with what the files hold now; what cannot be used is told and changes nothing."""
        self._seen = self._stamps()
        try:
            _context(self.given)  # tried apart first: half a certificate must not be served
            self.context.load_cert_chain(*_pair(self.given))
        except Invalid as error:
            log.error("the certificate cannot be loaded; the old one is served", extra={"why": error.message})
        else:
            log.info("loaded the certificate")

    def _stamps(self) -> Sequence[tuple[int, int] | None]:
        return [_stamp(path) for path in (self.given.tls_certificate, self.given.tls_key) if path is not None]


def _context(given: Settings) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    certificate, key = _pair(given)
    try:
        made.load_cert_chain(certificate, key, password="")
    except (
        OSError,
        ssl.SSLError,
        ValueError,
    ) as error:  # SSLError is an OSError; a key under a password is a ValueError
        names = f"{certificate}" + (f" and {key}" if key else "")
        reason = (
            getattr(error, "strerror", None)
            or "they do not belong together, or are no PEM without a password"
        )
        raise Invalid(f"The certificate and key in {names} cannot be used: {reason}.") from error
    return made


def _pair(given: Settings) -> tuple[Path, Path | None]:
    assert given.tls_certificate is not None
    return given.tls_certificate, given.tls_key


def _files(given: Settings) -> tuple[Path, Path]:
    certificate, key = _pair(given)
    assert key is not None
    return certificate, key


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino
