"""Whether passwords and alerts travel encrypted, and until when."""

from datetime import timedelta
from urllib.parse import urlsplit

from core import certificates, host, reach
from core.errors import Invalid
from reports.doctor import Finding, Light, Look, State

SOON = timedelta(days=14)


def look(at: Look) -> Finding:
    """How people, tools and mail servers reach us: the worse of the two ways in."""
    web, mail = _web(at), _mail(at)
    return web if mail is None or web.state is State.red else mail


def _mail(at: Look) -> Finding | None:
    """Mail servers elsewhere that hand mails over in the clear, if they may."""
    given = at.settings
    if not given.mail_listen or given.tls_certificate is not None:
        return None
    try:
        beyond = reach.mail_place(given.mail_listen).beyond
    except Invalid as error:
        return Finding(State.red, error.message, "Write where mail is to be taken in, or leave it out.")
    if not beyond:
        return None
    return Finding(
        State.red,
        f"Mail travels in the clear: other machines reach {given.mail_listen}, and there is no certificate.",
        "Speak TLS, or listen on this machine only, beside your mail server.",
        href="/settings/installation#listener",
        word="Mail in",
    )


def _web(at: Look) -> Finding:
    """The certificate that is served, the proxy that ends TLS, or nobody."""
    given = at.settings
    if given.tls_certificate is not None:
        return _certificate(at)
    if given.base_url.startswith("https:"):
        if not given.trusted_proxies:
            return Finding(
                State.yellow,
                f"A proxy ends TLS for {given.base_url}; all people seem to come from it.",
                "Name the proxy, so that its word on who is calling is believed.",
                command="TOCSIN_TRUSTED_PROXIES=127.0.0.1",
            )
        return Finding(State.green, f"A proxy ends TLS for {given.base_url}{_round_it(at)}.")
    if host.is_loopback(given.host) or host.is_loopback(urlsplit(given.base_url).hostname or ""):
        return Finding(
            State.yellow,
            "Only this machine can reach Tocsin: no tool or phone elsewhere does.",
            "Let others in, with TLS.",
            command="TOCSIN_HOST=0.0.0.0 TOCSIN_TLS=generate",
        )
    return Finding(
        State.red,
        "Passwords and alerts travel in the clear.",
        "Speak TLS, or put a proxy in front and set TOCSIN_BASE_URL to its https address.",
        command="TOCSIN_TLS=generate",
    )


def _round_it(at: Look) -> str:
    """What becomes of those who come to us directly, where they can."""
    if at.settings.only_proxies:
        return "; whoever comes round it is turned away"
    if host.is_loopback(at.settings.host):
        return ""
    return "; whoever comes round it speaks in the clear, as TOCSIN_ALLOW_PLAIN_HTTP says"


def _certificate(at: Look) -> Finding:
    assert at.settings.tls_certificate is not None
    own = at.settings.tls_generated
    renew = "Restart Tocsin: it renews its certificate." if own else "Put a new certificate in its place."
    try:
        shown = certificates.read(at.settings.tls_certificate)
    except Invalid as error:
        return Finding(State.red, error.message, renew)
    until = f"{shown.ends:%Y-%m-%d}"
    if shown.ends <= at.now:
        return Finding(
            State.red, f"The certificate ended on {until}: tools that check it send nothing.", renew
        )
    if shown.ends - at.now < SOON:
        return Finding(State.yellow, f"The certificate ends on {until}.", renew)
    whose = "signed by itself" if shown.self_signed else "a certificate of yours"
    return Finding(State.green, f"Tocsin speaks TLS, {whose}, until {until}. SHA-256 {shown.fingerprint}")


light = Light("tls", "TLS", 10, look)
