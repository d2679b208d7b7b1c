"""VirusTotal API v3: what is known of an address, domain, URL or file hash; it only looks up, nothing is ever uploaded."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from connectors.contract import ActionContext, ActionFailed
from connectors.declared import from_text
from core.net.http import Request


def url_report(context: ActionContext, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The report of a URL by its identifier: unpadded base64url (docs.virustotal.com/reference/url)."""
    url = str(inputs["url"])
    parts = urlsplit(url)
    if parts.query or parts.fragment or parts.username:
        raise ActionFailed(
            "A URL with a query, a fragment or a name in it is never sent out: it may hold a victim's token."
        )
    identifier = base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")
    base = str(context.settings.get("base_url") or "https://www.virustotal.com").rstrip("/")
    answer = context.send(Request(url=f"{base}/api/v3/urls/{identifier}"))
    if answer.status == 404:
        return {"found": False}
    if answer.status != 200:
        raise ActionFailed(f"VirusTotal answered {answer.status}.", retryable=answer.status in (429, 503))
    attributes = (answer.json().get("data") or {}).get("attributes") or {}
    stats = attributes.get("last_analysis_stats") or {}
    report = {name: stats.get(name) for name in ("malicious", "suspicious", "harmless")}
    return {
        "found": True,
        **report,
        "reputation": attributes.get("reputation"),
        "title": attributes.get("title"),
        "seen": attributes.get("last_analysis_date"),
    }


CONNECTOR = from_text(
    r"""
connector: virustotal
name: VirusTotal
kind: intel
docs: https://docs.virustotal.com/reference/overview
scopes: "A personal or premium API key; the public one allows 4 look-ups a minute and no commercial use."
rate: [{calls: 4, per: 1m}, {calls: 500, per: 1d}]  # of a public key (docs.virustotal.com/reference/public-vs-premium-api)

settings:
  base_url: {type: url, default: "https://www.virustotal.com", description: "The address of the API"}
secrets:
  api_key: {required: true}
auth: {kind: api_key, name: x-apikey, key: "{{ secrets.api_key }}"}
health:
  request: {method: GET, path: /api/v3/ip_addresses/192.0.2.1}
  ok: status == 200 || status == 404

actions:
  ip_report:
    title: What VirusTotal knows of an address
    verb: intel.ip
    effect: read
    pap_limit: amber
    input: {ip: {type: string, required: true, entity: ip, description: "An address"}}
    request: {method: GET, path: "/api/v3/ip_addresses/{{ inputs.ip }}"}
    absent: [404]
    output:
      malicious: data.attributes.last_analysis_stats.malicious
      suspicious: data.attributes.last_analysis_stats.suspicious
      harmless: data.attributes.last_analysis_stats.harmless
      reputation: data.attributes.reputation
      country: data.attributes.country
      owner: data.attributes.as_owner
      tags: data.attributes.tags
    instructions: "Look up {{ inputs.ip }} at a reputation service you trust and note the verdict."
  domain_report:
    title: What VirusTotal knows of a domain
    verb: intel.domain
    effect: read
    pap_limit: amber
    input: {domain: {type: string, required: true, entity: domain, description: "A domain"}}
    request: {method: GET, path: "/api/v3/domains/{{ inputs.domain }}"}
    absent: [404]
    output:
      malicious: data.attributes.last_analysis_stats.malicious
      suspicious: data.attributes.last_analysis_stats.suspicious
      harmless: data.attributes.last_analysis_stats.harmless
      reputation: data.attributes.reputation
      registrar: data.attributes.registrar
      created: data.attributes.creation_date
      categories: data.attributes.categories
      tags: data.attributes.tags
    instructions: "Look up {{ inputs.domain }} at a reputation service you trust; note its age and verdict."
  url_report:
    title: What VirusTotal knows of a URL
    description: Looks the URL up by its identifier and never submits it. Not for URLs with a query, which may hold a victim's token.
    verb: intel.url
    effect: read
    pap_limit: amber
    input:
      url: {type: string, required: true, entity: url, pattern: "[^?#]+", description: "A URL without query and fragment"}
    run: url_report
    instructions: "Look up the address at a reputation service by its host, never by opening it, and note the verdict."
  file_report:
    title: What VirusTotal knows of a file
    verb: intel.file
    effect: read
    pap_limit: amber
    input:
      hash: {type: string, required: true, entity: file-hash, pattern: "[0-9a-fA-F]{32}|[0-9a-fA-F]{40}|[0-9a-fA-F]{64}", description: "MD5, SHA-1 or SHA-256"}
    request: {method: GET, path: "/api/v3/files/{{ inputs.hash }}"}
    absent: [404]
    output:
      malicious: data.attributes.last_analysis_stats.malicious
      suspicious: data.attributes.last_analysis_stats.suspicious
      harmless: data.attributes.last_analysis_stats.harmless
      name: data.attributes.meaningful_name
      kind: data.attributes.type_description
      family: data.attributes.popular_threat_classification.suggested_threat_label
      first_seen: data.attributes.first_submission_date
      sha256: data.attributes.sha256
    instructions: "Look up the hash {{ inputs.hash }} at a reputation service you trust. Never upload the file: others can download it."
""",
    "virustotal",
    {"url_report": url_report},
)
