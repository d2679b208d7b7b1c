"""A real IMAP server, Dovecot, with one mailbox of its own, TLS and a folder to move mail to."""

import datetime as dt
import ipaddress
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from free_ports import PATIENT, answers, free_port, wait_until

PROGRAM = shutil.which("dovecot", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin") or ""
INSTALL = "This test needs Dovecot: apt-get install dovecot-imapd (make test does so when run as root)."
CONFIG = """
protocols = imap
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
mail_location = maildir:{folder}/mail
listen = 127.0.0.1
default_internal_user = {inner}
default_login_user = {login}
default_internal_group = {inner_group}
ssl = yes
ssl_cert = <{folder}/cert.pem
ssl_key = <{folder}/key.pem
disable_plaintext_auth = no
first_valid_uid = 0
first_valid_gid = 0
mail_uid = {user}
mail_gid = {group}
auth_mechanisms = plain login
passdb {{
  driver = static
  args = password=open-sesame
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={folder}/home
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {plain}
  }}
  inet_listener imaps {{
    port = {tls}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""


class Dovecot:
    """One dovecot process; `deliver` puts a mail into the inbox as a mail server does, with a rename."""

    def __init__(self) -> None:
        # Short and open to its users: paths of sockets are, and as root it works as somebody else.
        self.folder = Path(tempfile.mkdtemp(prefix="dovecot-"))
        self.plain, self.tls = free_port(), free_port()
        self.ca = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._count = 0

    def url(self, query: str = "", *, tls: bool = True, password: str = "open-sesame") -> str:
        """The mailbox's address."""
        scheme, port = ("imaps", self.tls) if tls else ("imap", self.plain)
        return f"{scheme}://soc:{password}@127.0.0.1:{port}/INBOX{query}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        if not PROGRAM:
            raise RuntimeError(INSTALL)
        self.folder.chmod(0o755)
        for name in (
            "home",
            "mail/cur",
            "mail/new",
            "mail/tmp",
            "mail/.Done/cur",
            "mail/.Done/new",
            "mail/.Done/tmp",
        ):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.ca = _certificate(self.folder)
        import grp
        import pwd

        user, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
        given = dict.fromkeys(("user", "inner", "login"), user) | dict.fromkeys(
            ("group", "inner_group"), group
        )
        if os.getuid() == 0:  # then it insists on users of its own, which its package has made
            given |= {
                "user": "mail",
                "group": "mail",
                "inner": "dovecot",
                "inner_group": "dovecot",
                "login": "dovenull",
            }
            for path in (self.folder / "home", *(self.folder / "mail").rglob("*"), self.folder / "mail"):
                shutil.chown(path, "mail", "mail")
        config = CONFIG.format(folder=self.folder, plain=self.plain, tls=self.tls, **given)
        (self.folder / "dovecot.conf").write_text(config)
        self._process = subprocess.Popen(
            [PROGRAM, "-F", "-c", str(self.folder / "dovecot.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wait_until(lambda: answers(self.plain) and answers(self.tls), what="Dovecot")

    def stop(self) -> None:
        """Stop it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(PATIENT)
            self._process = None
            shutil.rmtree(self.folder, ignore_errors=True)

    def deliver(self, raw: bytes) -> None:
        """Put a mail into the inbox."""
        self._count += 1
        waiting = self.folder / "mail" / "tmp" / f"{self._count:06d}.test"
        waiting.write_bytes(raw)
        waiting.rename(self.folder / "mail" / "new" / waiting.name)

    def inbox(self) -> list[str]:
        """The files in the inbox; what has been read carries an S."""
        return sorted(
            path.name for part in ("new", "cur") for path in (self.folder / "mail" / part).iterdir()
        )

    def done(self) -> list[str]:
        """The files in the folder Done."""
        return sorted(
            path.name for part in ("new", "cur") for path in (self.folder / "mail" / ".Done" / part).iterdir()
        )


def _certificate(folder: Path) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=2))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    (folder / "cert.pem").write_bytes(pem)
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return pem.decode()
