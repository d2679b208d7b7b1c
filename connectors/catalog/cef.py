"""ArcSight Common Event Format: lines of text, with or without a syslog header, from many vendors."""

from __future__ import annotations

import re
from typing import Any

from connectors.declared import from_text

_START = re.compile(r"CEF: ?(\d+)\|")
_HEADER_BREAK = re.compile(r"(?<!\\)\|")
_KEY = re.compile(r"(?:^|(?<=\s))([A-Za-z0-9_.\[\]-]{1,64})=")
_NAMES = ("vendor", "product", "version", "signature", "name", "severity")
_LABEL = re.compile(r"(cs|cn|c6a|cfp|flexString|flexNumber|flexDate|deviceCustomDate)\d{1,3}")


def parse(line: str) -> dict[str, Any] | None:
    r"""The header fields, the extension under `ext`, and labelled custom fields (`cs1` + `cs1Label`) under `labels`.

    None when the line is no CEF. After the format's definition: `|` and `\` are escaped in the header, `=` and `\`
    in the extension; a value ends where the next ` key=` begins.
    """
    start = _START.search(line[:2_048])
    if start is None:
        return None
    parts = _HEADER_BREAK.split(line[start.end() : start.end() + 131_072], maxsplit=6)
    if len(parts) < 6:
        return None
    event: dict[str, Any] = {name: _unescape(part) for name, part in zip(_NAMES, parts, strict=False)}
    extension = parts[6] if len(parts) > 6 else ""
    fields: dict[str, str] = {}
    hits = list(_KEY.finditer(extension))[:500]
    for place, hit in enumerate(hits):
        end = hits[place + 1].start() if place + 1 < len(hits) else len(extension)
        value = _unescape(extension[hit.end() : end].strip()).strip('"')
        if value:
            fields[hit[1]] = value
    event["ext"] = fields
    event["labels"] = {
        fields[f"{key}Label"]: value
        for key, value in fields.items()
        if _LABEL.fullmatch(key) and f"{key}Label" in fields
    }
    return event


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text
    return re.sub(r"\\([\\|=nr\"])", lambda hit: {"n": "\n", "r": "\r"}.get(hit[1], hit[1]), text)


CONNECTOR = from_text(
    r"""
connector: cef
name: CEF lines
kind: siem
docs: https://www.microfocus.com/documentation/arcsight/arcsight-smartconnectors/
proofs: [bearer, url_token]
setup: |
  Send lines to `{{ url }}` with `Authorization: Bearer {{ token }}`, from rsyslog (omhttp), Vector or Fluent Bit.

alerts:
  title: [name, signature]
  severity:
    - {from: severity, values: {low: low, medium: medium, high: high, very-high: critical, unknown: unknown}}
    - {from: severity, bands: {9: critical, 7: high, 4: medium, 1: low, 0: info}}
  status: {from: ext.act}                    # what the device did; not a state of the alert
  external_id:
    - ext.externalId
    - labels.incidentId
    - {from: signature, match: "^[0-9a-f]{24}$"}      # some products put the alert's id where the class belongs
  occurred_at: [ext.rt, ext.end, ext.start]
  rule_id: signature
  rule_name: name
  description: [ext.msg, labels.Description, ext.reason]
  category: {const: intrusion}
  url: [labels.consoleUrl, labels.link]
  fingerprint:
    vendor: vendor
    product: product
    event: signature
    name: name
    source: [ext.src, ext.shost, ext.dvc]
    target: [ext.dst, ext.dhost]
    user: [ext.duser, ext.suser]
  entities:
    - {type: ip, from: ext.src, role: source}
    - {type: ip, from: ext.dst, role: target}
    - {type: host, from: ext.shost, role: source}
    - {type: host, from: [ext.dhost, ext.destinationDnsDomain], role: target}
    - {type: host, from: [ext.dvchost, ext.dvc], role: observer}
    - {type: user, from: ext.suser, role: actor}
    - {type: user, from: ext.duser, role: target}
    - {type: user, from: labels.Affected User Name, role: target}
    - {type: file, from: [ext.filePath, ext.fname], role: artifact}
    - {type: file-hash, from: ext.fileHash, role: artifact}
    - {type: file-hash, from: [labels.sha256, labels.SHA256], role: artifact}
    - {type: file-hash, from: [labels.sha1, labels.SHA1], role: artifact}
    - {type: file-hash, from: [labels.md5, labels.MD5], role: artifact}
    - {type: mac, from: ext.smac, role: source}
  extract: [ext.msg, ext.request, ext.users, ext.suser, ext.duser, labels.consoleUrl, labels.link]
  labels:
    vendor: vendor
    product: product
    action: ext.act
    policy: labels.Policy
    application: ext.app

samples:
  - file: privileged.cef
    content_type: text/plain
    expect:
      title: "Privileged session outside hours | vault"
      severity: high
      external_id: PTA-20261120-17
      entities: {user: [adm-lee], ip: [192.0.2.15, 192.0.2.90], url: ["https://vault.example.com/sessions/17?a=b"]}
""",
    "cef",
    parse_line=parse,
)
