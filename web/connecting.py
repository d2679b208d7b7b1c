"""How a product is pointed at a source: its finished configuration, address and secret filled in."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from connectors.contract import Connector
from core import certificates, host
from core.settings import settings
from ingest.models import Source
from ingest.sources import url_of
from ingest.tail import assembled
from ingest.verify import HMAC_HEADER, HMAC_PREFIX, ProofKind
from web import snippets
from web.languages import gettext as _

HIDDEN = "SECRET"
"""Stands for the secret wherever it is shown no more."""
CA_FILE = "/etc/tocsin.pem"
"""Where a sender's machine keeps our certificate, in everything that is shown to be pasted."""


@dataclass(frozen=True)
class Way:
    """One way to connect: what to do in words, a warning, and the texts to paste, each with where it goes."""

    name: str
    title: str
    says: str
    texts: tuple[tuple[str, str], ...]
    warning: str = ""


@dataclass(frozen=True)
class Trust:
    """The certificate that nobody else signed: the file that senders keep it in, how it comes there, its fingerprint."""

    file: str
    fetch: str
    fingerprint: str


@dataclass(frozen=True)
class Field:
    """One value that a product asks for."""

    label: str
    value: str


def unreachable() -> str | None:
    """Why other machines cannot use the address that is shown, or None."""
    if not host.is_loopback(urlsplit(settings().base_url).hostname or ""):
        return None
    return _(
        "Only this machine reaches this address. Set TOCSIN_BASE_URL to the one that others reach, TOCSIN_HOST=0.0.0.0 and "
        "TOCSIN_TLS=generate, and start Tocsin again; this page then shows it."
    )


def trust() -> Trust | None:
    """What senders need in order to trust us; None where somebody else signed our certificate, or a proxy has its own."""
    shown = _own_certificate()
    if shown is None:
        return None
    return Trust(CA_FILE, snippets.certificate(settings().base_url, shown.key, CA_FILE), shown.fingerprint)


def _own_certificate() -> certificates.Shown | None:
    file = settings().tls_certificate
    return certificates.read(file) if file and certificates.to_trust(file) else None


def fields(source: Source, secret: str | None) -> list[Field]:
    """What to paste into a product that sends by itself."""
    shown = secret or HIDDEN
    found = [Field(_("Address (URL)"), url_of(source, shown))]
    match source.proof:
        case ProofKind.BEARER:
            found.append(Field(_("Header"), f"Authorization: Bearer {shown}"))
            found.append(Field(_("Or Basic: user tocsin, password"), shown))
        case ProofKind.HMAC:
            name = str(source.config.get("hmac_header") or HMAC_HEADER)
            found.append(Field(_("Signing secret"), shown))
            prefix = str(source.config.get("hmac_prefix", HMAC_PREFIX if name.lower() == HMAC_HEADER else ""))
            found.append(Field(_("Signature header"), f"{name.title()}: {prefix}<HMAC-SHA256>"))
        case ProofKind.ROUTING_KEY:
            found.append(Field(_("Integration key (routing_key)"), shown))
        case _:
            pass
    found.append(Field(_("Method and content type"), "POST application/json"))
    return found


def ways(source: Source, product: Connector, secret: str | None) -> list[Way]:
    """Every way to bring the lines of a product that writes files; none for one that only posts."""
    if not product.writes or source.proof not in (ProofKind.BEARER, ProofKind.URL_TOKEN):
        return []
    given = snippets.Given(
        url=url_of(source)
        if source.proof == ProofKind.BEARER
        else f"{settings().base_url}/ingest/{source.name}",
        secret=secret or HIDDEN,
        path=product.writes,
        name=re.sub(r"\W", "_", source.name),
        filter=product.writes_only,
        ca=CA_FILE if _own_certificate() else "",
    )
    found = [_tail(source, given)]
    if product.name == "wazuh":
        found += [_integration(given), _shuffle(source, given)]
    return [*found, *_shippers(given)]


def _tail(source: Source, given: snippets.Given) -> Way:
    shown = _own_certificate()
    pin = shown.key if shown else None
    fetch, install = snippets.tail(given, settings().base_url, assembled.digest(), pin)
    return Way(
        "tail",
        _("The tail: loses nothing"),
        _(
            "One file of Python that follows the log and hands each line over once, through rotations and outages of either side. "
            "Fetch it on the machine that writes the log, look at it, install it as a service. It reads the last 24 hours too; "
            "alerts that old neither page nor act."
        ),
        (
            (_("Fetch it and compare it"), fetch),
            (_("Install it (it has no more rights than to read)"), install),
            (_("See what it does"), f"journalctl -fu tocsin-tail-{source.name}"),
        ),
        ""
        if given.url.startswith("https") or unreachable()
        else _("The address is not encrypted: whoever listens learns the secret."),
    )


def _integration(given: snippets.Given) -> Way:
    return Way(
        "integration",
        _("Wazuh's integrator, with a script"),
        _("The manager runs the script for each alert, one after the other; it tries again for a minute."),
        (
            ("/var/ossec/integrations/custom-tocsin", snippets.wazuh_script(given)),
            (_("Its owner and rights"), snippets.WAZUH_RIGHTS),
            ("/var/ossec/etc/ossec.conf", snippets.wazuh_integration(given)),
        ),
        _(
            "Slow in a flood (about one alert a second), and alerts over 64 KB are dropped by Wazuh. Prefer the tail."
        ),
    )


def _shuffle(source: Source, given: snippets.Given) -> Way:
    fits = source.proof == ProofKind.URL_TOKEN
    if fits and given.ca:
        return Way(
            "shuffle",
            _("The “shuffle” trick: no script, and it skips 14 rules"),
            _("Not with this certificate: that script trusts public authorities only and cannot be told of ours. Take another way, "
              "or give Tocsin a certificate that the manager trusts."),
            (),
        )  # fmt: skip
    return Way(
        "shuffle",
        _("The “shuffle” trick: no script, and it skips 14 rules"),
        _("Wazuh has an integration for another product whose envelope Tocsin understands. It cannot send a header, so the "
          "secret is part of the address.")
        if fits
        else _("It cannot send a header: add a source whose token is in the address for it. This one wants a header."),
        (("/var/ossec/etc/ossec.conf", snippets.shuffle(given)),) if fits else (),
        _("That script silently leaves out 14 rule ids, among them 5710 (a sign-in as a user that does not exist), and never "
          "tries again what Tocsin had no time for. For a first look only."),
    )  # fmt: skip


def _shippers(given: snippets.Given) -> list[Way]:
    says = _(
        "If it runs there already. It keeps its own place in the file and waits when Tocsin asks for it."
    )
    return [
        Way("rsyslog", "rsyslog", says, (("/etc/rsyslog.d/tocsin.conf", snippets.rsyslog(given)),),
            _("Needs its module omhttp, which many distributions package apart (rsyslog-omhttp).")),
        Way("vector", "Vector", says, (("/etc/vector/vector.yaml", snippets.vector(given)),)),
        Way("fluent-bit", "Fluent Bit", says, (("/etc/fluent-bit/fluent-bit.conf", snippets.fluent_bit(given)),)),
    ]  # fmt: skip
