"""The report as a STIX 2.1 bundle: an incident, its observables as cyber-observables, indicators and a report object."""

import hashlib
from datetime import datetime
from typing import Any
from uuid import UUID

from reports.contract import Format
from reports.model import IncidentReport, Observable

# https://docs.oasis-open.org/cti/stix/v2.1 section 7.2.1.4: the marking definitions of TLP 1; TLP 2.0 uses an extension.
_TLP = {
    "clear": "TLP_WHITE",
    "green": "TLP_GREEN",
    "amber": "TLP_AMBER",
    "amber+strict": "TLP_AMBER",
    "red": "TLP_RED",
}
_INDICATING = {"malicious": "malicious-activity", "suspicious": "anomalous-activity"}
_PATHS = {
    "ipv4-addr": "ipv4-addr:value", "ipv6-addr": "ipv6-addr:value", "domain": "domain-name:value", "url": "url:value",
    "email": "email-addr:value", "mac": "mac-addr:value",
}  # fmt: skip
_HASHES = {32: "MD5", 40: "SHA-1", 64: "SHA-256", 128: "SHA-512"}


def write(report: IncidentReport) -> bytes:
    """A STIX 2.1 bundle, as the OASIS validator accepts it."""
    import stix2  # here, since only this format pays for loading it

    marking = getattr(stix2, _TLP.get(report.head.tlp, "TLP_AMBER"))
    identity = stix2.Identity(
        id=_id("identity", "tocsin"), name="Tocsin", identity_class="system", created=report.head.opened_at,
        modified=report.head.opened_at,
    )  # fmt: skip
    common = {
        "created_by_ref": identity.id, "object_marking_refs": [marking.id], "created": report.head.opened_at,
        "modified": max(report.made_at, report.head.opened_at),
    }  # fmt: skip
    incident = stix2.Incident(
        id=_id("incident", report.head.id), name=f"{report.head.key} {report.head.title}"[:1000],
        description=" ".join(report.paragraph), labels=sorted({report.head.severity, report.head.kind}), **common,
    )  # fmt: skip
    seen: list[Any] = []
    for item in report.observables:
        made = _observable(stix2, item)
        if made is not None and made.id not in {s.id for s in seen}:
            seen.append(made)
    indicators = [made for item in report.observables if (made := _indicator(stix2, item, report.head.id, common))]
    patterns = [
        stix2.AttackPattern(
            id=_id("attack-pattern", technique), name=technique,
            external_references=[{"source_name": "mitre-attack", "external_id": technique}], **common,
        )
        for technique in report.head.techniques
    ]  # fmt: skip
    objects: list[Any] = [identity, incident, *seen, *indicators, *patterns]
    if seen:
        first = min((o.first_seen for o in report.observables), default=report.head.opened_at)
        last = max((o.last_seen for o in report.observables), default=report.head.opened_at)
        objects.append(
            stix2.ObservedData(
                id=_id("observed-data", report.head.id), first_observed=first, last_observed=max(first, last),
                number_observed=max(sum(a.count for a in report.alerts), 1), object_refs=[s.id for s in seen], **common,
            )
        )  # fmt: skip
    objects += [
        stix2.Relationship(
            id=_id("relationship", f"{report.head.id}/{pattern.id}"), relationship_type="related-to",
            source_ref=incident.id, target_ref=pattern.id, **common,
        )
        for pattern in patterns
    ]  # fmt: skip
    objects.append(
        stix2.Report(
            id=_id("report", report.head.id), name=f"Report on {report.head.key}", report_types=["threat-report"],
            description=" ".join(report.paragraph), published=report.made_at,
            object_refs=[o.id for o in objects if o.id != identity.id], **common,
        )
    )  # fmt: skip
    bundle = stix2.Bundle(objects=[marking, *objects], id=_id("bundle", f"{report.head.id}/{report.made_at}"))
    return str(bundle.serialize(pretty=True)).encode()


def _observable(stix2: Any, item: Observable) -> Any:
    match item.type:
        case "ipv4-addr":
            return stix2.IPv4Address(value=item.value)
        case "ipv6-addr":
            return stix2.IPv6Address(value=item.value)
        case "domain":
            return stix2.DomainName(value=item.value)
        case "url":
            return stix2.URL(value=item.value)
        case "email" if "@" in item.value:
            return stix2.EmailAddress(value=item.value)
        case "user":
            return stix2.UserAccount(account_login=item.value)
        case "mac":
            return stix2.MACAddress(value=item.value.lower())
        case "file":
            return stix2.File(name=item.value.replace("\\", "/").rsplit("/", 1)[-1] or item.value)
        case "file-hash" | "sha256" if len(item.value) in _HASHES:
            return stix2.File(hashes={_HASHES[len(item.value)]: item.value})
        case _:
            return None  # hosts, processes and CVEs have no cyber-observable of their own


def _indicator(stix2: Any, item: Observable, of: str, common: dict[str, Any]) -> Any:
    """An indicator of what a person called malicious or suspicious; what a look-up merely proposes is none."""
    if item.proposed or item.verdict not in _INDICATING:
        return None
    path = _PATHS.get(item.type)
    if item.type in ("file-hash", "sha256") and len(item.value) in _HASHES:
        path = f"file:hashes.'{_HASHES[len(item.value)]}'"
    if path is None or not item.value.isprintable() or (item.type == "email" and "@" not in item.value):
        return None
    value = item.value.replace("\\", "\\\\").replace("'", "\\'")  # 9.3 of the specification: how a string is written
    return stix2.Indicator(
        id=_id("indicator", f"{of}/{item.type}/{item.value}"), name=item.value[:250], description=item.verdict_says or item.verdict,
        indicator_types=[_INDICATING[item.verdict]], pattern=f"[{path} = '{value}']", pattern_type="stix",
        valid_from=item.first_seen, **common,
    )  # fmt: skip


def _id(kind: str, name: object) -> str:
    told = name.isoformat() if isinstance(name, datetime) else str(name)
    derived = hashlib.sha256(f"tocsin:{kind}:{told}".encode()).digest()[:16]
    return f"{kind}--{UUID(bytes=derived, version=4)}"  # the form STIX asks of its objects; the same report, the same id


format = Format("stix", "STIX 2.1 bundle", "application/stix+json;version=2.1", "stix.json", write)  # noqa: A001
