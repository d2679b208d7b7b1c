"""Counts calls to products by what became of them."""

from collections.abc import Mapping
from typing import Any

from core import metrics

CALLS = metrics.counter(
    "tocsin_calls_total", "Calls to products, by product and what became of them.", "product", "outcome"
)


def _count(body: Mapping[str, Any]) -> None:
    product = str(body["action"]).partition(".")[0]
    CALLS.add(product, str(body["state"]))


for _verb in ("action.finished", "action.refused", "action.held", "action.unbound", "action.rehearsed"):
    metrics.on_fact(_verb)(_count)
