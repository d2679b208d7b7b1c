"""Furnishes an installation for the storm: people to page, products to call, a playbook that does both."""

import os
from pathlib import Path
from typing import Any

import yaml

TOKEN = "token"  # the file with the secret of the source `gate`

MAPPING: dict[str, Any] = {
    "mapping": {
        "title": "title", "external_id": "id", "fingerprint": ["id"], "rule_name": "rule",
        "severity": {"from": "severity", "values": {"critical": "critical", "low": "low"}},
        "entities": [{"type": "host", "from": "host", "role": "target"}],
    }
}  # fmt: skip

# The title of an incident is "crew-007 h-12": who is paged, and what is contained.
PLAYBOOK: dict[str, Any] = {
    "version": 1,
    "playbooks": {
        "contain": {
            "name": "Contain a host",
            "mode": "act",
            "triggers": [{"on": "incident.opened", "when": 'incident.severity == "critical"'}],
            "limits": {"actions": 10, "duration": "14d"},
            "steps": [
                {"id": "wake", "page": {"policy": "{{ incident.title[:8] }}", "message": "Look at {{ incident.key }}."}},
                {"id": "sessions", "action": "okta.clear_sessions", "with": {"user": "{{ incident.title[9:] }}"}},
                {"id": "suspend", "action": "okta.suspend_user", "with": {"user": "{{ incident.title[9:] }}"}},
                {
                    "id": "isolate", "action": "http.request",
                    "with": {"method": "POST", "path": "/isolate/{{ incident.title[9:] }}"},
                },
                {"id": "done", "set": {"contained": True}},
            ],
        }
    },
}  # fmt: skip


def playbook_file(folder: Path) -> Path:
    """Write the playbook down."""
    path = folder / "storm.yaml"
    path.write_text(yaml.safe_dump(PLAYBOOK, sort_keys=False, width=1000), encoding="utf-8")
    return path


def furnish() -> None:
    """Make the tables and what is in them, as the environment says; leaves the source's secret in a file.

    Each crew is one person: STORM_CREWS are enough when few of their pages are gathered into bundles.
    """
    from cli import migrate, serving
    from connectors import instances, rails
    from core.actors import SYSTEM
    from core.auth import users
    from core.db import unit_of_work
    from ingest import sources
    from notify.escalation import Target
    from notify.oncall import policy_editing as policies
    from playbooks import publishing

    serving.prepare()
    migrate.upgrade()
    serving.seed()
    folder, address = Path(os.environ["TOCSIN_DATA_DIR"]), os.environ["STORM_PRODUCT"]
    with unit_of_work() as uow:
        for number in range(int(os.environ["STORM_CREWS"])):
            name = f"crew-{number:03}"
            person = users.create(uow, SYSTEM, email=f"{name}@example.org", name=name, roles=["responder"])
            reach = (Target("user", str(person.id)),)
            policies.create_policy(
                uow, SYSTEM, policies.PolicyDraft(name, (policies.StepDraft(reach, 86_400),), catch_all=reach)
            )
        rails.set_budget(uow, SYSTEM, "disruptive", 100_000)
        instances.create(
            uow, SYSTEM, name="directory", connector="okta", settings={"base_url": address},
            secrets={"token": "not a secret"}, private=True,
        )  # fmt: skip
        instances.create(
            uow, SYSTEM, name="firewall", connector="http", settings={"base_url": address}, private=True
        )
        _, token = sources.create(uow, SYSTEM, name="gate", connector="generic_json", config=MAPPING)
    publishing.load_at_start()
    (folder / TOKEN).write_text(token, encoding="utf-8")
