"""The table of verbs in the guide is what the catalogue says, no more and no less."""

import re
from pathlib import Path

from connectors import registry
from playbooks.vocabulary import VERBS

GUIDE = Path(__file__).parents[2] / "docs" / "connectors.md"


def test_the_guide_names_each_verb_with_its_products() -> None:
    told = GUIDE.read_text(encoding="utf-8").partition("## What products can do")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([a-z_.]+)` \| ([^|]+) \| ([^|]+) \|$", told, re.MULTILINE)
    bound = {verb: [action.connector for action in registry.verbs().get(verb, ())] for verb in VERBS}
    assert {verb: re.findall(r"`(\w+)`", products) for verb, _, products in rows} == {
        verb: products for verb, products in bound.items() if products
    }
    assert {verb: title for verb, title, _ in rows} == {
        verb: VERBS[verb].title for verb in bound if bound[verb]
    }
    unbound = told.partition("No product here does these yet")[2].partition(". They can")[0]
    assert re.findall(r"`([a-z_.]+)`", unbound) == [verb for verb, products in bound.items() if not products]
