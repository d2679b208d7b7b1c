"""A real OpenLDAP server (Debian's slapd) with a small company in it."""

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from free_ports import PATIENT, answers, free_port, wait_until

INSTALL = "This test needs OpenLDAP's server: apt-get install slapd (make test does so when run as root)."

_CONFIG = """
include {schema}/core.schema
include {schema}/cosine.schema
include {schema}/inetorgperson.schema
attributetype ( 1.2.840.113556.1.4.8 NAME 'userAccountControl' EQUALITY integerMatch
    SYNTAX '1.3.6.1.4.1.1466.115.121.1.27' SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.221 NAME 'sAMAccountName' EQUALITY caseIgnoreMatch
    SUBSTR caseIgnoreSubstringsMatch SYNTAX '1.3.6.1.4.1.1466.115.121.1.15' SINGLE-VALUE )
objectclass ( 1.3.6.1.4.1.99999.1 NAME 'testAccount' SUP top AUXILIARY
    MAY ( userAccountControl $ sAMAccountName ) )
pidfile {folder}/slapd.pid
moduleload back_mdb
moduleload ppolicy
database mdb
maxsize 16777216
suffix "{suffix}"
rootdn "{admin}"
rootpw {password}
directory {folder}/data
index objectClass eq
overlay ppolicy
"""

_PEOPLE = """
dn: {suffix}
objectClass: top
objectClass: dcObject
objectClass: organization
o: Example
dc: example

dn: ou=people,{suffix}
objectClass: organizationalUnit
ou: people
"""

_PERSON = """
dn: uid={uid},ou=people,{suffix}
objectClass: inetOrgPerson
objectClass: testAccount
uid: {uid}
sAMAccountName: {uid}
cn: {name}
sn: {surname}
mail: {uid}@example.org
userAccountControl: 512
userPassword: {uid}-password
"""


class Directory:
    """`ldap://127.0.0.1:…` with `ou=people` holding mortiz, akim and svc-backup (password: `<uid>-password`)."""

    suffix = "dc=example,dc=org"
    admin_dn = "cn=admin,dc=example,dc=org"
    password = "directory-secret"
    people = (("mortiz", "Marta Ortiz"), ("akim", "Ada Kim"), ("svc-backup", "Backup Service"))

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"ldap://127.0.0.1:{self.port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Fill a new directory and serve it."""
        slapd, slapadd = _program("slapd"), _program("slapadd")
        (self._folder / "data").mkdir(parents=True)
        config = self._folder / "slapd.conf"
        config.write_text(
            _CONFIG.format(
                schema=_schema(),
                folder=self._folder,
                suffix=self.suffix,
                admin=self.admin_dn,
                password=self.password,
            )
        )
        people = _PEOPLE + "".join(
            _PERSON.format(uid=uid, name=name, surname=name.split()[-1], suffix="{suffix}")
            for uid, name in self.people
        )
        subprocess.run(
            [slapadd, "-f", config],
            input=people.format(suffix=self.suffix).encode(),
            check=True,
            capture_output=True,
        )
        with (self._folder / "slapd.log").open("wb") as log:
            self._process = subprocess.Popen(
                [slapd, "-f", config, "-h", self.url, "-d", "0"], stdout=log, stderr=log
            )
        wait_until(lambda: answers(self.port), what="slapd")

    def stop(self) -> None:
        """End the server."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PATIENT)
            self._process = None

    @contextmanager
    def hung(self) -> Iterator[None]:
        """It keeps its connections and says nothing for the length of the block."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def dn(self, uid: str) -> str:
        """The distinguished name of a person."""
        return f"uid={uid},ou=people,{self.suffix}"

    def entry(self, uid: str) -> dict[str, list[str]]:
        """A person's attributes as the server holds them, operational ones too."""
        import ldap3

        connection = ldap3.Connection(
            ldap3.Server("127.0.0.1", self.port), user=self.admin_dn, password=self.password, auto_bind=True
        )
        connection.search(self.dn(uid), "(objectClass=*)", ldap3.BASE, attributes=["*", "+"])
        found = connection.entries[0].entry_attributes_as_dict
        connection.unbind()
        return {name: [str(value) for value in values] for name, values in found.items()}

    def accepts(self, uid: str) -> bool:
        """Whether the person can sign in with their own password."""
        import ldap3

        connection = ldap3.Connection(
            ldap3.Server("127.0.0.1", self.port), user=self.dn(uid), password=f"{uid}-password"
        )
        try:
            return bool(connection.bind())
        finally:
            connection.unbind()


def _program(name: str) -> str:
    found = shutil.which(name, path="/usr/sbin:/usr/local/sbin:/usr/libexec:/usr/bin")
    if found is None:
        raise RuntimeError(INSTALL)
    return found


def _schema() -> Path:
    for folder in (Path("/etc/ldap/schema"), Path("/etc/openldap/schema")):
        if (folder / "core.schema").exists():
            return folder
    raise RuntimeError(INSTALL)
