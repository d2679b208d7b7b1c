"""What the operator can set: read once from the environment, with safe defaults."""

import logging
import os
import secrets as random_secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, urlsplit

from core import host as machine
from core import reach
from core.errors import Invalid

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """The settings of one process; `embedded` means one process without Redis."""

    data_dir: Path
    database_url: str
    secret_key: bytes = field(repr=False)
    redis_url: str | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    base_url: str = "http://127.0.0.1:8000"
    tls_certificate: Path | None = None  # PEM; None: Tocsin speaks plain HTTP
    tls_key: Path | None = None  # None: it stands in the certificate's file
    tls_generated: bool = False  # the certificate is our own, in the data directory
    trusted_proxies: tuple[str, ...] = ()  # networks whose X-Forwarded-For and -Proto are believed
    allow_plain_http: bool = False
    smtp_url: str | None = field(default=None, repr=False)
    smtp_from: str = "tocsin@localhost"
    playbooks: Path = Path("playbooks.yaml")
    egress_allow: tuple[str, ...] = ()
    max_body: int = 1024 * 1024
    muzzled: bool = False
    log_level: str = "INFO"
    alive_file: Path | None = None
    signing_key: str | None = field(default=None, repr=False)
    witness: tuple[str, ...] = field(default=(), repr=False)
    witness_every: timedelta = timedelta(days=1)
    watch_notify: tuple[str, ...] = field(default=(), repr=False)
    heartbeat_url: str | None = field(default=None, repr=False)
    keep_deliveries: timedelta | None = timedelta(days=90)  # None: for ever
    keep_alerts: timedelta | None = timedelta(days=365)
    keep_inbox: timedelta | None = timedelta(days=90)
    keep_access: timedelta | None = timedelta(days=365)
    max_upload: int = 25 * 1024 * 1024
    report_form: bool = False
    mail_listen: str | None = None
    mail_to: tuple[str, ...] = ()
    imap_url: str | None = field(default=None, repr=False)
    imap_every: timedelta = timedelta(seconds=30)
    report_code: str | None = field(default=None, repr=False)
    secret_key_generated: bool = False
    second_factor_required: bool = True  # False: asked only of those who have one
    second_factor_fresh: timedelta = timedelta(minutes=15)
    fixed: frozenset[str] = frozenset()  # what was given here, not left to its default: no page changes it

    @property
    def embedded(self) -> bool:
        """True when this installation is one process: no Redis."""
        return self.redis_url is None

    @property
    def only_proxies(self) -> bool:
        """True when nobody but this machine and the named proxies may speak to us.

        They are then the only reason to listen in the clear beyond this machine; nobody said that all may.
        """
        beyond = self.tls_certificate is None and not machine.is_loopback(self.host)
        return beyond and bool(self.trusted_proxies) and not self.allow_plain_http

    @classmethod
    def load(cls, env: Mapping[str, str], *, make: bool = True) -> Self:
        """Read `TOCSIN_*`, where empty means unset; raises Invalid with the name of the variable that cannot be used.

        TOCSIN_SECRET_KEY, when unset, is generated once into the data directory. A secret may be given by the file that
        holds it: TOCSIN_SECRET_KEY_FILE and so on. Without `make` nothing is made, and a key that is not there is empty.
        """
        env = _with_files({name: value for name, value in env.items() if value.strip()})
        data_dir = Path(env.get("TOCSIN_DATA_DIR", "data")).expanduser()
        if make:
            _make(data_dir)
        host = env.get("TOCSIN_HOST", "127.0.0.1")
        port = _number(env, "TOCSIN_PORT", 8000)
        key, generated = _secret_key(env, data_dir, make=make)
        database_url = env.get("TOCSIN_DATABASE_URL") or f"sqlite:///{data_dir.resolve() / 'tocsin.db'}"
        if password := env.get("TOCSIN_DATABASE_PASSWORD"):
            database_url = _with_password(database_url, password)
        if urlsplit(database_url).scheme.partition("+")[0] not in ("sqlite", "postgresql", "postgres"):
            raise Invalid("TOCSIN_DATABASE_URL must begin with sqlite:/// or postgresql://")
        certificate, tls_key, generated_tls = reach.certificate(env, data_dir)
        return cls(
            data_dir=data_dir,
            database_url=database_url,
            secret_key=key,
            secret_key_generated=generated,
            redis_url=env.get("TOCSIN_REDIS_URL") or None,
            host=host,
            port=port,
            base_url=reach.base_url(env, host, port, tls=certificate is not None),
            tls_certificate=certificate,
            tls_key=tls_key,
            tls_generated=generated_tls,
            trusted_proxies=reach.proxies(env),
            allow_plain_http=env.get("TOCSIN_ALLOW_PLAIN_HTTP", "") == "1",
            smtp_url=env.get("TOCSIN_SMTP_URL") or None,
            smtp_from=env.get("TOCSIN_SMTP_FROM", "tocsin@localhost"),
            playbooks=_playbooks(env.get("TOCSIN_PLAYBOOKS")),
            egress_allow=tuple(
                filter(None, (p.strip() for p in env.get("TOCSIN_EGRESS_ALLOW", "").split(",")))
            ),
            max_body=_number(env, "TOCSIN_MAX_BODY", 1024 * 1024),
            muzzled=env.get("TOCSIN_MUZZLED", "") == "1",
            log_level=_level(env),
            alive_file=Path(env["TOCSIN_ALIVE_FILE"]) if env.get("TOCSIN_ALIVE_FILE") else None,
            signing_key=env.get("TOCSIN_SIGNING_KEY") or None,
            witness=tuple(filter(None, (w.strip() for w in env.get("TOCSIN_WITNESS", "").split(",")))),
            watch_notify=tuple(
                filter(None, (w.strip() for w in env.get("TOCSIN_WATCH_NOTIFY", "").split(",")))
            ),
            heartbeat_url=env.get("TOCSIN_HEARTBEAT_URL") or None,
            keep_deliveries=_days(env, "TOCSIN_KEEP_DELIVERIES", 90),
            keep_alerts=_days(env, "TOCSIN_KEEP_ALERTS", 365),
            keep_inbox=_days(env, "TOCSIN_KEEP_INBOX", 90),
            keep_access=_days(env, "TOCSIN_KEEP_ACCESS", 365),
            mail_listen=env.get("TOCSIN_MAIL_LISTEN") or None,
            mail_to=tuple(filter(None, (a.strip() for a in env.get("TOCSIN_MAIL_TO", "").split(",")))),
            imap_url=env.get("TOCSIN_IMAP_URL") or None,
            imap_every=timedelta(seconds=max(_number(env, "TOCSIN_IMAP_SECONDS", 30), 1)),
            report_form=env.get("TOCSIN_REPORT_FORM", "") == "1",
            report_code=env.get("TOCSIN_REPORT_CODE") or None,
            max_upload=_number(env, "TOCSIN_MAX_UPLOAD", 25 * 1024 * 1024),
            second_factor_required=_required(env),
            second_factor_fresh=timedelta(minutes=max(1, _number(env, "TOCSIN_SECOND_FACTOR_MINUTES", 15))),
            witness_every=timedelta(minutes=_number(env, "TOCSIN_WITNESS_MINUTES", 24 * 60)),
            fixed=frozenset(name for name, variable in CHANGEABLE.items() if env.get(variable)),
        )

    def with_(self, **changes: Any) -> Self:
        """A copy with some settings changed, as if they had been given from outside."""
        return replace(self, fixed=self.fixed | changes.keys(), **changes)


_current: list[Settings] = []


def settings() -> Settings:
    """Settings of the running process; read from the environment at the first call."""
    if not _current:
        _current.append(Settings.load(os.environ))
    return _current[-1]


def looked_up() -> Settings:
    """As settings(), for who only wants to know them: makes neither the data directory nor a key (then it is empty)."""
    return _current[-1] if _current else Settings.load(os.environ, make=False)


def configure(new: Settings) -> Settings:
    """Use `new` from now on in this process; returns it."""
    _current[:] = [new]
    return new


def _playbooks(given: str | None) -> Path:
    """The file of playbooks: the one that is named, else one where we are, else the one that Tocsin comes with."""
    here = Path(given or "playbooks.yaml")
    return here if given or here.exists() else Path(__file__).parents[1] / here


def _number(env: Mapping[str, str], name: str, default: int) -> int:
    raw = env.get(name, str(default))
    if not raw.isdecimal():
        raise Invalid(f"{name} must be a whole number, not {raw!r}")
    return int(raw)


def _days(env: Mapping[str, str], name: str, default: int) -> timedelta | None:
    """How many days, as 90 or 90d; None for 0, which is for ever. Raises Invalid."""
    raw = env.get(name, str(default)).strip().removesuffix("d")
    if not raw.isdecimal() or len(raw) > 5:
        raise Invalid(f"{name} must be a number of days such as 90, or 0 to keep for ever, not {raw[:40]!r}")
    return timedelta(days=int(raw)) if int(raw) else None


def _required(env: Mapping[str, str]) -> bool:
    word = env.get("TOCSIN_SECOND_FACTOR", "required").strip().lower()
    if word not in ("required", "optional"):
        raise Invalid("TOCSIN_SECOND_FACTOR must be required or optional")
    return word == "required"


CHANGEABLE = {
    "report_form": "TOCSIN_REPORT_FORM", "report_code": "TOCSIN_REPORT_CODE", "imap_url": "TOCSIN_IMAP_URL",
    "imap_every": "TOCSIN_IMAP_SECONDS", "mail_listen": "TOCSIN_MAIL_LISTEN", "mail_to": "TOCSIN_MAIL_TO",
    "heartbeat_url": "TOCSIN_HEARTBEAT_URL", "smtp_url": "TOCSIN_SMTP_URL", "smtp_from": "TOCSIN_SMTP_FROM",
    "witness": "TOCSIN_WITNESS",
}  # fmt: skip
"""What a page may change where its variable is not set."""


_SECRETS = (
    "TOCSIN_SECRET_KEY", "TOCSIN_DATABASE_URL", "TOCSIN_DATABASE_PASSWORD", "TOCSIN_REDIS_URL", "TOCSIN_SMTP_URL",
    "TOCSIN_SIGNING_KEY", "TOCSIN_REPORT_CODE", "TOCSIN_IMAP_URL",
)  # fmt: skip


def _with_files(env: Mapping[str, str]) -> dict[str, str]:
    """The environment with what TOCSIN_…_FILE name put in its place. Raises Invalid."""
    full = dict(env)
    for name in _SECRETS:
        path = full.get(f"{name}_FILE")
        if not path:
            continue
        if full.get(name):
            raise Invalid(f"{name} and {name}_FILE are both set: keep one of them")
        try:
            full[name] = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise Invalid(f"{name}_FILE names {path}, which cannot be read: {error}") from error
    return full


def _with_password(url: str, password: str) -> str:
    """A database's address with a password, where it names a user and has none."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    if not at or ":" in user:
        raise Invalid(
            "TOCSIN_DATABASE_PASSWORD goes with a TOCSIN_DATABASE_URL that names a user and no password"
        )
    return parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}").geturl()


def _level(env: Mapping[str, str]) -> str:
    level = env.get("TOCSIN_LOG_LEVEL", "info").upper()
    if level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise Invalid("TOCSIN_LOG_LEVEL must be debug, info, warning or error")
    return level


def _make(data_dir: Path) -> None:
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Invalid(
            f"The data directory {data_dir.absolute()} cannot be made: {error.strerror}. Set TOCSIN_DATA_DIR to another."
        ) from error


def _secret_key(env: Mapping[str, str], data_dir: Path, *, make: bool) -> tuple[bytes, bool]:
    given = env.get("TOCSIN_SECRET_KEY")
    if given:
        if len(given) < 32:
            raise Invalid("TOCSIN_SECRET_KEY must have at least 32 characters: try `openssl rand -base64 32`")
        return given.encode(), False
    path = data_dir / "secret.key"
    if not make:
        return _key_in(path) if path.exists() else b"", True
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _key_in(path), True
    except OSError as error:
        raise Invalid(f"{path.absolute()} cannot be written: {error.strerror}.") from error
    with os.fdopen(handle, "wb") as file:
        file.write(random_secrets.token_urlsafe(48).encode())
        file.flush()
        os.fsync(file.fileno())
    if env.get("TOCSIN_REDIS_URL"):
        log.warning("TOCSIN_SECRET_KEY is not set: every process needs the same one; generated %s", path)
    return path.read_bytes().strip(), True


def _key_in(path: Path) -> bytes:
    try:
        return path.read_bytes().strip()
    except OSError as error:
        raise Invalid(
            f"{path.absolute()} cannot be read: {error.strerror}. Run this as the user whom Tocsin runs as."
        ) from error
