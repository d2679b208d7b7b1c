"""Turns the bytes a product sends into alert drafts, as its file declares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from connectors import bodies
from connectors.compiling import MAP_NAMES, compile_map
from connectors.contract import AlertDraft, Connector, Reading, Unreadable
from connectors.drafting import Mapped, draft_of, secrets_in
from connectors.located import At, Document
from connectors.paths import Frame, Steps, parse_steps
from connectors.picking import Condition, compile_condition
from core.redaction import Redactor


@dataclass(frozen=True)
class AlertMapping:
    """How one product's deliveries read: how events are found, and which mappings fit them (the first that applies)."""

    product: str
    variants: tuple[Mapped, ...] = ()
    wrappers: list[Steps] = field(default_factory=list)
    ignore: Condition | None = None
    whole: Mapped | None = None  # one more alert of the body itself, such as what its sender left out of it
    parse_line: bodies.LineParser | None = None
    from_config: bool = False  # the operator writes the mapping into the source's settings

    def read(
        self,
        body: bytes,
        content_type: str,  # noqa: ARG002 - part of the contract; the bytes say it better
        headers: Mapping[str, str],
        config: Mapping[str, Any],
    ) -> Reading:
        """The alerts in a delivery. Raises Unreadable when nothing in it could be understood, and nothing else."""
        mapping = configured(config, self) if self.from_config else self
        try:
            values, problems = (
                bodies.events_of_lines(body, self.parse_line)
                if self.parse_line
                else bodies.events_of_json(body)
            )
        except RecursionError:
            raise Unreadable("The body is nested too deeply.") from None
        zone = zone_of(config)
        lowered = {str(name).lower(): value for name, value in headers.items()}
        secrets = Redactor(mapping._secrets(values, lowered, config))
        if secrets:
            values, lowered = secrets.value(values), secrets.value(lowered)
        drafts: list[AlertDraft] = []
        ignored = seen = 0
        for value in values:
            for event, root in bodies.unwrap(value, mapping.wrappers):
                seen += 1
                if seen > bodies.MAX_EVENTS:
                    problems.append(
                        f"Only the first {bodies.MAX_EVENTS} events of a delivery are read; the rest is kept, unread."
                    )
                    break
                frame = Frame(event, root, lowered, config)
                try:
                    outcome = mapping._one(frame, zone)
                except RecursionError:
                    outcome = "is nested too deeply."
                if isinstance(outcome, AlertDraft):
                    drafts.append(outcome)
                elif outcome is None:
                    ignored += 1
                else:
                    problems.append(f"Event {seen} {outcome}")
        if mapping.whole is not None:
            drafts += mapping._of_whole(mapping.whole, values, lowered, config, zone)
        if problems and not drafts and not ignored:
            raise Unreadable(problems[0])
        return Reading(drafts, ignored, problems, tuple(secrets.values))

    def _secrets(self, values: list[Any], headers: Mapping[str, str], config: Mapping[str, Any]) -> list[str]:
        """What the events name as secrets, found before anything else is read of them."""
        if not any(variant.secrets for variant in self.variants):
            return []
        found: list[str] = []
        for value in values:
            for event, root in bodies.unwrap(value, self.wrappers):
                if not isinstance(event, dict):
                    continue
                frame = Frame(event, root, headers, config)
                for variant in self.variants:
                    if variant.when is None or variant.when(frame):
                        found += secrets_in(variant, frame)
                        break
        return found

    def _of_whole(
        self,
        whole: Mapped,
        values: list[Any],
        headers: Mapping[str, str],
        config: Mapping[str, Any],
        zone: tzinfo,
    ) -> list[AlertDraft]:
        """What the bodies say beside their events: at most one alert each."""
        found = [entry for value in values for entry in (value if isinstance(value, list) else [value])]
        frames = [Frame(entry, entry, headers, config) for entry in found if isinstance(entry, dict)]
        told = [draft_of(whole, frame, zone) for frame in frames if whole.when is None or whole.when(frame)]
        return [draft for draft in told if draft is not None]

    def _one(self, frame: Frame, zone: tzinfo) -> AlertDraft | str | None:
        """A draft, None for an event that is no alert, or a sentence why it cannot be read."""
        if not isinstance(frame.item, dict):
            return f"is not an object, as {self.product} sends, but {type(frame.item).__name__}."
        if self.ignore is not None and self.ignore(frame):
            return None
        for variant in self.variants:
            if variant.when is None or variant.when(frame):
                return (
                    draft_of(variant, frame, zone)
                    or f"does not look like an alert of {self.product}: nothing in it gives a title."
                )
        return f"does not look like an alert of {self.product}."


def read(
    connector: Connector,
    body: bytes,
    content_type: str,
    headers: Mapping[str, str],
    config: Mapping[str, Any],
) -> Reading:
    """The alerts in a delivery to a source of this connector; raises only Unreadable."""
    if connector.alerts is None:
        raise Unreadable(f"{connector.title} sends no alerts.")
    return connector.alerts.read(body, content_type, headers, config)


def zone_of(config: Mapping[str, Any]) -> tzinfo:
    """The source's time zone, for products that write local times without one (setting `timezone`); UTC otherwise."""
    name = config.get("timezone")
    if isinstance(name, str) and name:
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return UTC
    return UTC


def compile_alerts(at: At, product: str, parse_line: bodies.LineParser | None = None) -> AlertMapping:
    """Compile an `alerts:` block; what is wrong with it goes to the document as sentences."""
    members = dict(at.members(("each", "ignore", "variants", "whole", "mapping_in_config", *MAP_NAMES)))
    common = {name: member for name, member in members.items() if name in MAP_NAMES}
    wrappers: list[Steps] = []
    if "each" in members:
        for entry in members["each"].entries():
            try:
                wrappers.append(parse_steps(entry.text(), entry.text()))
            except ValueError as error:
                entry.complain(str(error))
    variants: list[Mapped] = []
    if "variants" in members:
        entries = members["variants"].entries()
        variants = [compile_map({**common, **dict(entry.members(MAP_NAMES))}, entry) for entry in entries]
    elif common:
        variants.append(compile_map(common, at))
    whole = None
    if "whole" in members:
        whole = compile_map(dict(members["whole"].members(MAP_NAMES, ("when",))), members["whole"])
    return AlertMapping(
        product=product,
        variants=tuple(variants),
        wrappers=wrappers,
        ignore=compile_condition(members["ignore"]) if "ignore" in members else None,
        whole=whole,
        parse_line=parse_line,
        from_config="mapping_in_config" in members and members["mapping_in_config"].flag(),
    )


# ------------------------------------------------------------------------------------------------ operator-written

_configured: dict[str, AlertMapping] = {}
_latest: list[tuple[Any, AlertMapping]] = []  # a batch is mostly of one source: the same object asks again and again


def configured(config: Mapping[str, Any], guess: AlertMapping) -> AlertMapping:
    """The mapping in a source's settings (`mapping`, in the language of the catalogue), or the connector's own guess."""
    wanted = config.get("mapping")
    if not wanted:
        return guess
    for known, compiled in _latest[:1]:
        if known is wanted:
            return compiled
    key = repr(wanted)
    if key not in _configured:
        problems, compiled = check_mapping(wanted)
        if problems:
            raise Unreadable(f"This source's mapping is wrong: {problems[0]}")
        if len(_configured) > 500:
            _configured.clear()
        _configured[key] = compiled
    _latest[:] = [(wanted, _configured[key])]
    return _configured[key]


def check_mapping(wanted: Any) -> tuple[list[str], AlertMapping]:
    """What is wrong with an operator's mapping (sentences; empty when it is good), and the mapping compiled."""
    document = Document("mapping", wanted)
    compiled = compile_alerts(document.top, "this source")
    if not document.problems and not compiled.variants:
        document.problems.append("mapping: says nothing; at least title, severity and fingerprint are needed")
    return document.problems, compiled
