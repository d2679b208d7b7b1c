"""Credentials that sign each request: HMAC in a product's own way, and AWS Signature Version 4."""

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from core.clock import now
from core.errors import Invalid
from core.net.auth.contract import Fixed, kind
from core.net.egress import Egress
from core.net.http import Request

_DIGESTS = {"sha1": hashlib.sha1, "sha256": hashlib.sha256, "sha512": hashlib.sha512}


@kind("hmac")
@dataclass(frozen=True)
class Hmac(Fixed):
    """An HMAC of the request in a header.

    message: what is signed, made of {timestamp} (Unix seconds), {method}, {path} (with query) and {body}.
    """

    secret: str = field(repr=False)
    header: str = "X-Signature"
    algorithm: str = "sha256"
    encoding: str = "hex"
    prefix: str = ""
    message: str = "{body}"
    timestamp_header: str = ""

    def __post_init__(self) -> None:
        if self.algorithm not in _DIGESTS or self.encoding not in ("hex", "base64"):
            raise Invalid('auth hmac: "algorithm" is sha1, sha256 or sha512, "encoding" is hex or base64')

    def sign(self, request: Request, rules: Egress) -> Request:  # noqa: ARG002 - the contract's signature
        parts = urlsplit(request.full_url())
        stamp = str(int(now().timestamp()))
        known = {
            "timestamp": stamp.encode(),
            "method": request.method.encode(),
            "path": (parts.path + (f"?{parts.query}" if parts.query else "")).encode(),
            "body": request.body(),
        }
        digest = hmac.new(
            self.secret.encode(), _filled(self.message, known), _DIGESTS[self.algorithm]
        ).digest()
        text = digest.hex() if self.encoding == "hex" else base64.b64encode(digest).decode()
        headers = {self.header: f"{self.prefix}{text}"}
        if self.timestamp_header:
            headers[self.timestamp_header] = stamp
        return request.with_headers(headers)


def _filled(message: str, known: dict[str, bytes]) -> bytes:
    """Each {name} replaced once; what a body holds is never looked at again."""
    made = b""
    rest = message.encode().decode("unicode_escape") if "\\" in message else message
    while rest:
        before, brace, after = rest.partition("{")
        made += before.encode()
        name, closed, rest = after.partition("}")
        if brace and (not closed or name not in known):
            raise Invalid(f'auth hmac: "message" knows {", ".join(known)}')
        made += known.get(name, b"") if brace else b""
    return made


@kind("sigv4")
@dataclass(frozen=True)
class SigV4(Fixed):
    """AWS Signature Version 4.

    Source: docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
    """

    access_key: str
    secret_key: str = field(repr=False)
    region: str = "us-east-1"
    service: str = ""
    session_token: str = field(default="", repr=False)

    def sign(self, request: Request, rules: Egress) -> Request:  # noqa: ARG002 - the contract's signature
        moment = now().strftime("%Y%m%dT%H%M%SZ")
        parts = urlsplit(request.full_url())
        service = self.service or parts.netloc.partition(".")[0]
        added = {"X-Amz-Date": moment}
        if self.session_token:
            added["X-Amz-Security-Token"] = self.session_token
        signed = {"host": parts.netloc.rpartition("@")[2]}
        signed |= {name.lower(): " ".join(value.split()) for name, value in added.items()}
        signed |= {
            name.lower(): " ".join(value.split())
            for name, value in request.headers.items()
            if name.lower() == "content-type" or name.lower().startswith("x-amz-")
        }
        names = ";".join(sorted(signed))
        canonical = "\n".join([
            request.method,
            _path(parts.path, service),
            _query(parts.query),
            "".join(f"{name}:{signed[name]}\n" for name in sorted(signed)),
            names,
            hashlib.sha256(request.body()).hexdigest(),
        ])  # fmt: skip
        scope = f"{moment[:8]}/{self.region}/{service}/aws4_request"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        key = f"AWS4{self.secret_key}".encode()
        for part in (moment[:8], self.region, service, "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}"
        signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        credential = f"Credential={self.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
        return request.with_headers({**added, "Authorization": f"AWS4-HMAC-SHA256 {credential}"})


def _path(path: str, service: str) -> str:
    """Every service but S3 encodes the path twice."""
    once = quote(unquote(path) or "/", safe="/-_.~")
    return once if service == "s3" else quote(once, safe="/-_.~")


def _query(query: str) -> str:
    pairs = parse_qsl(query, keep_blank_values=True)
    return "&".join(f"{quote(k, safe='-_.~')}={quote(v, safe='-_.~')}" for k, v in sorted(pairs))
