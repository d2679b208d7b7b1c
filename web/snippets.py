"""The configuration texts of the products and shippers that a source's page shows, filled in."""

import base64
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit


@dataclass(frozen=True)
class Given:
    """What is filled in. `filter` is member=value of the lines that matter, or empty; `ca` is the file on the sender's machine
    with the certificate to trust, or empty where somebody signed it whom everybody trusts.
    """

    url: str
    secret: str
    path: str
    name: str
    filter: str = ""
    ca: str = ""

    @property
    def place(self) -> SplitResult:
        """The URL taken apart."""
        return urlsplit(self.url)

    @property
    def tls(self) -> bool:
        """Whether the door speaks TLS."""
        return self.place.scheme == "https"

    @property
    def port(self) -> int:
        """The door's port, also where the URL leaves it out."""
        return self.place.port or (443 if self.tls else 80)

    @property
    def matters(self) -> tuple[str, str]:
        """The filter's member and value."""
        member, _sep, value = self.filter.partition("=")
        return member, value


def tail(given: Given, base_url: str, digest: str, pin: str | None) -> tuple[str, str]:
    """How the tail is fetched and how it is installed; `pin` is the SHA-256 of a key whose certificate
    nobody else signed, in hexadecimal.
    """
    fetch = (
        f"curl -fsS{_pinned(pin)} -o tocsin_tail.py {base_url}/tail.py\n"
        f"echo '{digest}  tocsin_tail.py' | sha256sum -c -"
    )
    pinned = f" \\\n  --pin {pin}" if pin else ""
    install = (
        f"sudo python3 tocsin_tail.py --install --since 24h --secret-file -{pinned} \\\n"
        f"  --url {given.url} {given.path} <<'END'\n{given.secret}\nEND"
    )
    return fetch, install


def certificate(base_url: str, pin: str, file: str) -> str:
    """How the certificate that nobody else signed comes to a sender's machine, known by the SHA-256 of its key."""
    return f"sudo curl -fsS{_pinned(pin)} -o {file} {base_url}/certificate.pem\nsudo chmod 644 {file}"


def _pinned(pin: str | None) -> str:
    """Curl's words for trusting this key alone, whoever signed it."""
    if not pin:
        return ""
    return f" -k --pinnedpubkey 'sha256//{base64.b64encode(bytes.fromhex(pin)).decode()}'"


_WAZUH_SCRIPT = '''#!/usr/bin/env python3
"""Hands one alert to Tocsin: called by Wazuh with the alert's file, the api_key and the hook_url."""
import ssl
import sys
import time
import urllib.error
import urllib.request

file, secret, url = sys.argv[1:4]
with open(file, "rb") as alert:
    body = alert.read()
headers = {"Authorization": "Bearer " + secret, "Content-Type": "application/json"}
trusted = ssl.create_default_context(cafile=None)
for wait in (1, 2, 5, 10, 20, 20, 0):
    try:
        urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=15, context=trusted).close()
        sys.exit(0)
    except urllib.error.HTTPError as error:
        said = "%d %s" % (error.code, error.reason)
        if error.code not in (429, 500, 502, 503, 504):
            break
    except OSError as error:
        said = str(error)
    time.sleep(wait)
sys.exit("tocsin: this alert was not taken: " + said)
'''
WAZUH_RIGHTS = (
    "chmod 750 /var/ossec/integrations/custom-tocsin\n"
    "chown root:wazuh /var/ossec/integrations/custom-tocsin\n"
    "systemctl restart wazuh-manager"
)


def wazuh_script(given: Given) -> str:
    """The script that Wazuh's integrator runs; it trusts `given.ca` alone, or whom its machine trusts."""
    return _WAZUH_SCRIPT.replace("cafile=None", f'cafile="{given.ca}"') if given.ca else _WAZUH_SCRIPT


def wazuh_integration(given: Given) -> str:
    """The block in ossec.conf that runs the script."""
    return (
        "<integration>\n  <name>custom-tocsin</name>\n"
        f"  <hook_url>{given.url}</hook_url>\n  <api_key>{given.secret}</api_key>\n"
        "  <level>3</level>\n  <alert_format>json</alert_format>\n</integration>"
    )


def shuffle(given: Given) -> str:
    """The block in ossec.conf that uses Wazuh's own script for another product."""
    return (
        f"<integration>\n  <name>shuffle</name>\n  <hook_url>{given.url}/{given.secret}</hook_url>\n"
        "  <level>3</level>\n  <alert_format>json</alert_format>\n</integration>"
    )


def rsyslog(given: Given) -> str:
    """A ruleset of its own with a queue on disk (imfile, omhttp)."""
    member, value = given.matters
    ca = f' tls.cacert="{given.ca}"' if given.ca else ""
    wanted = f'  if not ($msg contains \'"{member}":"{value}"\') then stop\n' if given.filter else ""
    return (
        'global(maxMessageSize="256k")\nmodule(load="imfile")\nmodule(load="omhttp")\n'
        'template(name="tocsin_line" type="string" string="%msg%")\n'
        f'input(type="imfile" File="{given.path}" Tag="{given.name}" ruleset="tocsin_{given.name}")\n'
        f'ruleset(name="tocsin_{given.name}" queue.type="LinkedList" queue.filename="tocsin_{given.name}"\n'
        '        queue.maxDiskSpace="1g" queue.saveOnShutdown="on") {\n'
        f"{wanted}"
        f'  action(type="omhttp" server="{given.place.hostname}" serverport="{given.port}"'
        f' restpath="{given.place.path.lstrip("/")}"\n'
        f'         useHttps="{"on" if given.tls else "off"}"{ca} template="tocsin_line"\n'
        f'         httpheaders=["Authorization: Bearer {given.secret}"]\n'
        '         batch="off" action.resumeRetryCount="-1")\n}'
    )


def vector(given: Given) -> str:
    """Vector's file source and HTTP sink, with a buffer on disk."""
    inputs, condition = f"{given.name}_file", ""
    ca = f"    tls: {{ca_file: {given.ca}}}\n" if given.ca else ""
    if given.filter:
        member, value = given.matters
        inputs = f"{given.name}_alerts"
        condition = (
            "transforms:\n"
            f"  {inputs}:\n    type: filter\n    inputs: [{given.name}_file]\n"
            f'    condition: contains(string!(.message), "\\"{member}\\":\\"{value}\\"")\n'
        )  # fmt: skip
    return (
        "data_dir: /var/lib/vector\n"
        f"sources:\n  {given.name}_file:\n    type: file\n    include: [{given.path}]\n"
        f"{condition}"
        f"sinks:\n  tocsin_{given.name}:\n    type: http\n    inputs: [{inputs}]\n    uri: {given.url}\n"
        f"{ca}"
        "    method: post\n    compression: gzip\n    encoding: {codec: text}\n"
        "    framing: {method: newline_delimited}\n"
        f"    auth: {{strategy: bearer, token: {given.secret}}}\n"
        "    batch: {max_bytes: 500000, max_events: 1000, timeout_secs: 1}\n"
        "    buffer: {type: disk, max_size: 1073741824, when_full: block}\n"
        "    acknowledgements: {enabled: true}"
    )


def fluent_bit(given: Given) -> str:
    """Fluent Bit's tail and http plugins; it tries for ever and keeps what waits on disk."""
    member, value = given.matters
    ca = f"    tls.verify     On\n    tls.ca_file    {given.ca}\n" if given.ca else ""
    only = f"[FILTER]\n    Name   grep\n    Match  {given.name}\n    Regex  {member} ^{value}$\n" if given.filter else ""
    return (
        "[SERVICE]\n    Flush         1\n    Parsers_File  parsers.conf\n    storage.path  /var/lib/fluent-bit\n"
        f"[INPUT]\n    Name          tail\n    Tag           {given.name}\n    Path          {given.path}\n"
        f"    Parser        json\n    DB            /var/lib/fluent-bit/{given.name}.db\n"
        "    storage.type  filesystem\n"
        f"{only}"
        f"[OUTPUT]\n    Name           http\n    Match          {given.name}\n    Host           {given.place.hostname}\n"
        f"    Port           {given.port}\n    URI            {given.place.path}\n"
        f"    tls            {'On' if given.tls else 'Off'}\n{ca}    Format         json_lines\n"
        f"    json_date_key  false\n    Header         Authorization Bearer {given.secret}\n"
        "    Retry_Limit    no_limits"
    )
