"""A configured product as its calls need it, and texts about it without its secrets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from connectors.contract import Connector
from core.concealing import conceal
from core.net import Egress, current
from core.net.tls import Tls



@dataclass
class Heard:
    """What came of the requests to a product while one thing was done: how many there were, and whether it had too many.

    `wait`: the seconds for which the product asked to be left alone; None when it did not say.
    """

    requests: int = 0
    limited: bool = False
    wait: float | None = None


@dataclass(frozen=True)
class Product:
    """A configured product: what a request to it needs."""

    connector: Connector
    settings: Mapping[str, Any]
    secrets: Mapping[str, str] = field(repr=False)
    private: bool = False
    heard: Heard = field(default_factory=Heard, compare=False, repr=False)

    @property
    def egress(self) -> Egress:
        """Where its requests may go."""
        return current(allow_private=self.private)

    @property
    def tls(self) -> Tls:
        """Whom it is trusted by: its setting `ca`, where it declares one, beside the public authorities."""
        return Tls(ca=str(self.settings["ca"]) if self.settings.get("ca") else None)


def settings_of(product: Product) -> dict[str, Any]:
    """The settings of a product, with the defaults of its file."""
    return {item.name: item.default for item in product.connector.settings} | {
        name: value for name, value in product.settings.items() if value is not None
    }


def cleaned(text: str, product: Product) -> str:
    """The text without the product's secrets."""
    return conceal(text, product.secrets.values())


def masked(value: Any, product: Product) -> Any:
    """A value with the product's secrets masked, wherever in it they stand."""
    if isinstance(value, str):
        return cleaned(value, product)[:4000]
    if isinstance(value, Mapping):
        return {name: masked(inner, product) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [masked(inner, product) for inner in value]
    return value


def origin(url: str) -> str:
    """Scheme, host and port of an address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
