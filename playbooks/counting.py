"""Counts runs by playbook and how they ended."""

from collections.abc import Mapping
from typing import Any

from core import metrics

RUNS = metrics.counter("tocsin_runs_total", "Runs that have ended, by playbook and how.", "playbook", "state")


@metrics.on_fact("run.ended")
def count(body: Mapping[str, Any]) -> None:
    """One more run has ended."""
    RUNS.add(str(body["playbook"]), str(body["state"]))
