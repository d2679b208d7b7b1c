"""Tocsin's door as the tail sees it: one batch in, a receipt out, or a reason to come again."""

import gzip
import http.client
import json
import ssl
from typing import Any, Callable, Dict, List, Optional
from urllib.parse import urlsplit

from ingest.tail.pinning import digests, pin_of

VERSION = "1"


class Away(Exception):
    """Tocsin could not be asked, or asks us to come again; `after` is in seconds."""

    def __init__(self, why: str, after: Optional[float] = None) -> None:
        Exception.__init__(self, why)
        self.after = after


class TooLarge(Exception):
    """Tocsin takes smaller batches."""


class Door:
    """Posts batches to one source's address."""

    def __init__(
        self, url: str, secret: Callable[[], str], ca: Optional[str] = None, pin: Optional[str] = None
    ) -> None:
        self.url = urlsplit(url)
        if (
            self.url.scheme not in ("http", "https")
            or not self.url.hostname
            or "/ingest/" not in self.url.path
        ):
            raise SystemExit(
                "--url {}: give the source's whole address, such as https://tocsin.example.org/ingest/suricata".format(
                    url
                )
            )
        self.secret = secret
        self.pin = pin_of(pin) if pin else None
        self.context: Optional[ssl.SSLContext] = None
        if self.url.scheme == "https":
            try:
                self.context = ssl.create_default_context(cafile=ca)
            except OSError as error:
                raise SystemExit("--ca {}: {}".format(ca, error)) from None
            if self.pin is not None:  # the very certificate is known, so who signed it does not matter
                self.context.check_hostname = False
                self.context.verify_mode = ssl.CERT_NONE
        self._connection: Optional[http.client.HTTPConnection] = None

    def _connect(self) -> http.client.HTTPConnection:
        host, port = str(self.url.hostname), self.url.port
        if self.context is None:
            made = http.client.HTTPConnection(host, port, timeout=30)
        else:
            made = http.client.HTTPSConnection(host, port, timeout=30, context=self.context)
        made.connect()
        if self.pin is not None and isinstance(made.sock, ssl.SSLSocket):
            shown = digests(made.sock.getpeercert(True) or b"")
            if self.pin not in shown:
                made.close()
                raise Away(
                    "the certificate there has the fingerprint {}, not the one of --pin; nothing was sent".format(
                        shown[0]
                    )
                )
        return made

    def post(self, lines: List[bytes], key: str) -> Dict[str, Any]:
        """The receipt. Raises Away, TooLarge."""
        reused = self._connection is not None
        try:
            return self._post(lines, key)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if not reused:
                raise Away(
                    "{}: {}".format(type(error).__name__, error) if str(error) else type(error).__name__
                ) from error
        try:  # the connection had been idle and was closed: once more on a new one
            return self._post(lines, key)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Away("{}: {}".format(type(error).__name__, error)) from error

    def _post(self, lines: List[bytes], key: str) -> Dict[str, Any]:
        if self._connection is None:
            self._connection = self._connect()
        headers = {
            "Authorization": "Bearer " + self.secret(), "Content-Type": "application/x-ndjson", "Content-Encoding": "gzip",
            "Idempotency-Key": key, "User-Agent": "tocsin-tail/" + VERSION,
        }  # fmt: skip
        body = gzip.compress(b"\n".join(lines) + b"\n", 5)
        self._connection.request("POST", self.url.path, body, headers)
        answer = self._connection.getresponse()
        said = answer.read(100000).decode("utf-8", "replace")
        if answer.status == 413:
            raise TooLarge
        try:
            told = json.loads(said)
        except ValueError:
            told = {}
        told = told if isinstance(told, dict) else {}
        if 200 <= answer.status < 300 and "receipt" in told:
            return told
        after = answer.getheader("Retry-After") or ""
        why = told.get("detail") or told.get("title") or "this is not Tocsin's answer; is the address right?"
        if answer.status in (301, 302, 307, 308):
            why = "it sends us on to {}; give that address".format(answer.getheader("Location"))
        raise Away("{} {}".format(answer.status, why), float(after) if after.isdigit() else None)

    def close(self) -> None:
        """End the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
