"""The responder's guide names every grouping rule that a new installation has, in the order they are asked."""

import re
from pathlib import Path

from incidents.grouping import DEFAULT_RULES

GUIDE = Path(__file__).parents[2] / "docs" / "responder.md"


def test_the_guide_names_the_default_rules_in_their_order() -> None:
    table = GUIDE.read_text(encoding="utf-8").partition("| Rule | What it does |")[2].partition("\n\n")[0]
    named = re.findall(r"^\| ([^|]+?) \|", table, re.MULTILINE)
    assert [name for name in named if not name.startswith("-")] == [rule.name for rule in DEFAULT_RULES]
