"""Reads the test cases that stand beside a playbook file: what is given, what people and products answer, what must follow."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from connectors import mapping, registry
from core.errors import Invalid, NotFound
from incidents import schema
from incidents.grouping import DEFAULT_RULES, RuleSet
from playbooks.language import Notes, Reader, Rows, Table, did_you_mean, line_of, read_yaml
from playbooks.plan import Plan
from playbooks.weighing import UNKNOWN

_CASE = ("name", "playbook", "mode", "on", "alert", "incident", "mail", "owners", "inputs", "people", "products", "expect")
_EXPECT = ("end", "done", "left_out", "tasks", "asks", "calls", "pages", "messages", "reporter", "opened", "incident", "took")
ENDS = {"done": "succeeded", "failed": "failed", "refused": "refused", "waiting": "waiting"}
SAMPLES = Path(registry.__file__).parent / "samples"


@dataclass(frozen=True)
class Case:
    """One case: `incident` holds facts, `mail` what was read from a kept mail, `owners` who owns what, `people` and `products` answers, `expect` what must follow; `line` in its file."""

    name: str
    playbook: str
    line: int
    mode: str | None = None
    on: str | None = None
    incident: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    mail: Mapping[str, Any] = field(default_factory=dict)
    owners: Mapping[str, Any] = field(default_factory=dict)
    people: Mapping[str, Any] = field(default_factory=dict)
    products: Mapping[str, Any] = field(default_factory=dict)
    expect: Mapping[str, Any] = field(default_factory=dict)


def beside(playbooks: Path) -> Path:
    """Where the cases of a playbook file stand: playbooks.tests.yaml beside playbooks.yaml."""
    return playbooks.with_suffix(".tests.yaml")


def read(path: Path, plans: Mapping[str, Plan]) -> list[Case]:
    """The cases of a file. Raises NotFound without the file, Invalid with every problem and its line."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise NotFound(
            f"There is no file {path}; write the cases there, or name theirs with --cases."
        ) from None
    notes = Notes(path.name)
    root = read_yaml(text, notes)
    rows = root.get("tests") if isinstance(root, Table) else None
    if isinstance(root, Table) and set(root) - {"version", "tests"}:
        notes.add(root.line, "the file holds version: 1 and tests:, nothing else")
    if rows is not None and not isinstance(rows, Rows):
        notes.add(line_of(rows, 1), '"tests" must be a list of cases')
    elif not rows and not notes.problems:
        notes.add(1, 'the file needs "tests", a list of cases')
    found = [_case(row, notes, plans, path.parent) for row in rows or () if isinstance(rows, Rows)]
    if notes.problems:
        raise Invalid("\n".join(map(str, sorted(notes.problems, key=lambda one: one.line))))
    return [case for case in found if case is not None]


def _case(row: Any, notes: Notes, plans: Mapping[str, Plan], folder: Path) -> Case | None:
    if not isinstance(row, Table):
        notes.add(line_of(row, 1), "a case must be a mapping with name, playbook and expect")
        return None
    name = str(row.get("name") or "a case without a name")
    reader = Reader(row, f'case "{name}"', notes)
    if not row.get("name"):
        reader.wrong('"name" is missing')
    key = reader.text("playbook", required=True) or ""
    plan = plans.get(key)
    if key and plan is None:
        reader.wrong(f'there is no playbook "{key}"{did_you_mean(key, plans)}', "playbook")
    facts = {**_sample(reader, folder), **reader.mapping("incident")}
    for fact in facts:
        if fact not in schema.INCIDENT.roots["incident"].fields:
            reader.wrong(
                f'an incident has no "{fact}"{did_you_mean(fact, schema.INCIDENT.roots["incident"].fields)}',
                "incident",
            )
    for fact in reader.mapping("mail"):
        if fact not in UNKNOWN:
            reader.wrong(f'nothing named "{fact}" is read from a mail{did_you_mean(fact, UNKNOWN)}', "mail")
    case = Case(
        name,
        key,
        reader.line,
        mode=reader.choice("mode", ("watch", "ask", "act"), "") or None,
        on=reader.text("on"),
        incident=facts,
        inputs=reader.mapping("inputs"),
        mail=reader.mapping("mail"),
        owners=reader.mapping("owners"),
        people=reader.mapping("people"),
        products=reader.mapping("products"),
        expect=reader.mapping("expect"),
    )
    reader.ignore("name")
    reader.close(_CASE)
    if plan is not None:
        _check_names(case, plan, reader)
    expected = reader.inner("expect")
    if expected is not None:
        expected.choice("end", ENDS, "done")
        expected.ignore(*_EXPECT)
        expected.close()
    return case


def _check_names(case: Case, plan: Plan, reader: Reader) -> None:
    """Every step that is spoken of must be there; every product's action must be one the playbook calls."""
    told = {**dict.fromkeys(case.people, "people")}
    told |= {one: "expect" for word in ("done", "left_out") for one in case.expect.get(word) or ()}
    known = {step.id for step in plan.steps.values()}
    for name, where in told.items():
        if not steps_named(plan, str(name)):
            reader.wrong(f'there is no step "{name}"{did_you_mean(str(name), known)}', where)
    actions = {step.spec["action"] for step in plan.steps.values() if step.kind == "action"}
    for name in case.products:
        if name not in actions and not steps_named(plan, name):
            reader.wrong(f'it calls nothing named "{name}"{did_you_mean(name, actions)}', "products")


def steps_named(plan: Plan, name: str) -> list[str]:
    """The paths of the steps a name stands for: an id, or the ids around it with dots ("account.password")."""
    return [path for path in plan.steps if is_named(path, name)]


def is_named(path: str, name: str) -> bool:
    """Whether a step's path is meant by a name: its last word is the step, those before it stand around it in order."""
    ids, wanted = path.split("/")[::2], name.split(".")
    if not ids or ids[-1] != wanted[-1]:
        return False
    around = iter(ids[:-1])
    return all(one in around for one in wanted[:-1])


def _sample(reader: Reader, folder: Path) -> dict[str, Any]:
    """The facts of the incident that the default grouping rules open for an alert as a product sends it."""
    given = reader.inner("alert")
    if given is None:
        return {}
    name, file = given.text("connector", required=True) or "", given.text("file", required=True) or ""
    headers = given.mapping("headers")
    given.close()
    if name not in registry.all():
        given.wrong(f'there is no connector "{name}"{did_you_mean(name, registry.all())}', "connector")
        return {}
    path = next((one for one in (folder / file, SAMPLES / name / file) if one.is_file()), None)
    if path is None:
        given.wrong(
            f"there is no file {file}, neither beside this one nor among the samples of {name}", "file"
        )
        return {}
    drafts = mapping.read(registry.get(name), path.read_bytes(), "application/json", headers, {}).drafts
    if not drafts:
        given.wrong(f"{name} finds no alert in {file}", "file")
        return {}
    facts = opened_by(drafts[0], name)
    if facts is None:
        given.wrong(f"the default grouping rules open no incident for {file}", "file")
    return facts or {}


def opened_by(draft: Any, source: str) -> dict[str, Any] | None:
    """The facts of the incident an alert opens by the default grouping rules; None when it stays an alert."""
    entities = [(one.type, one.value, one.role) for one in draft.entities]
    seen = schema.observed(entities)
    alert = {
        **seen, "title": draft.title, "description": draft.description, "severity": draft.severity.value,
        "severity_rank": draft.severity.rank, "status": draft.status, "external_id": draft.external_id, "fingerprint": "0",
        "rule_id": draft.rule_id, "rule_name": draft.rule_name, "category": draft.category or "other",
        "techniques": list(draft.techniques), "tags": list(draft.tags), "labels": dict(draft.labels), "url": draft.url,
        "correlation": draft.correlation, "is_test": draft.is_test, "source": source, "connector": source, "trust": "normal",
        "occurred_at": draft.occurred_at, "first_seen": draft.occurred_at, "last_seen": draft.occurred_at, "count": 1,
        "late": False, "learning": False,
    }  # fmt: skip
    if not RuleSet(DEFAULT_RULES).judge(alert, lambda _window: 1).opens:
        return None
    told = ("title", "description", "severity", "category", "techniques", "tags", "source")
    return {**seen, **{name: alert[name] for name in told}}
