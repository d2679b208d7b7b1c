"""Every source file keeps the house's rules, and each rule catches a planted violation."""

import house_rules
import pytest
from house_rules import RULES, Source

_PLANTED = {
    "caption": "import os\n",
    "length": '"""Long."""\n' + "a = 1\n" * 400,
    "one commit": '"""C."""\ndef f(session):\n    session.commit()\n',
    "caught with reason": '"""C."""\ntry:\n    pass\nexcept Exception:\n    pass\n',
    "silenced with reason": '"""C."""\na = 1  # type' + ": ignore[misc]\n",
    "finished": '"""C."""\n# TO' + "DO later\n",
    "no machine paths": '"""C."""\nPATH = "/ro' + 'ot/tocsin"\n',
    "reading stays reading": '"""C."""\n@router.get("/")\ndef show():\n    with unit_of_work() as uow: ...\n',
}
# These hold examples of what they look for.
_ABOUT_RULES = {"tests/support/house_rules.py", "tests/architecture/test_house_rules.py"}


@pytest.mark.parametrize("name", RULES)
def test_the_house_rule_is_kept(name: str) -> None:
    rule, folders = RULES[name]
    problems = [
        problem
        for source in house_rules.sources(*folders)
        if source.path not in _ABOUT_RULES
        for problem in rule(source)
    ]
    assert not problems, "\n" + "\n".join(problems)


@pytest.mark.parametrize("name", RULES)
def test_the_rule_catches_a_violation(name: str) -> None:
    rule, _ = RULES[name]
    assert list(rule(Source("incidents/planted.py", _PLANTED[name])))


@pytest.mark.parametrize("name", RULES)
def test_the_rule_lets_good_code_be(name: str) -> None:
    rule, _ = RULES[name]
    good = '"""Says what it holds."""\n\n@router.get("/")\ndef show(): ...\n'
    assert not list(rule(Source("incidents/good.py", good)))
