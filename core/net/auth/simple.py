"""Credentials that are sent as they are: basic, bearer, API key, client certificate."""

import base64
from dataclasses import dataclass, field, replace

from core.errors import Invalid
from core.net.auth.contract import Fixed, kind
from core.net.egress import Egress
from core.net.http import Request


def basic_header(username: str, password: str) -> str:
    """RFC 7617, in UTF-8."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


@kind("basic")
@dataclass(frozen=True)
class Basic(Fixed):
    """User name and password with each request (RFC 7617)."""

    username: str
    password: str = field(repr=False)

    def sign(self, request: Request, rules: Egress) -> Request:  # noqa: ARG002 - the contract's signature
        return request.with_headers({"Authorization": basic_header(self.username, self.password)})


@kind("bearer")
@dataclass(frozen=True)
class Bearer(Fixed):
    """A token in the Authorization header; `prefix` for products with their own word (SSWS, Token, GenieKey)."""

    token: str = field(repr=False)
    prefix: str = "Bearer "

    def sign(self, request: Request, rules: Egress) -> Request:  # noqa: ARG002 - the contract's signature
        return request.with_headers({"Authorization": f"{self.prefix}{self.token}"})


@kind("api_key")
@dataclass(frozen=True)
class ApiKey(Fixed):
    """A key in a header of the product's own, or in the query (`place: query`)."""

    name: str
    key: str = field(repr=False)
    place: str = "header"
    prefix: str = ""

    def __post_init__(self) -> None:
        if self.place not in ("header", "query"):
            raise Invalid('auth api_key: "place" is header or query')

    def sign(self, request: Request, rules: Egress) -> Request:  # noqa: ARG002 - the contract's signature
        if self.place == "query":
            return replace(request, params={**request.params, self.name: f"{self.prefix}{self.key}"})
        return request.with_headers({self.name: f"{self.prefix}{self.key}"})


@kind("mtls")
@dataclass(frozen=True)
class Mtls(Fixed):
    """Our own certificate (PEM) in the TLS handshake."""

    certificate: str = field(repr=False)
    key: str = field(repr=False)

    def sign(self, request: Request, rules: Egress) -> Request:  # noqa: ARG002 - the contract's signature
        return replace(request, tls=replace(request.tls, certificate=self.certificate, key=self.key))
