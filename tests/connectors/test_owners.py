"""Who owns what is read line by line, kept with a fact in the journal, and found by name, first label or a domain above."""

import pytest
from people_here import People

from connectors import owners
from connectors.owners import Owned
from core import journal
from core.db import reading, unit_of_work
from core.errors import Forbidden, Invalid
from core.types import Ref

LINES = "shop ana@example.org\n\n  Mail gateway  LUIS@example.org \npc-7 ana@example.org\npay.example.org eva@example.org\nexample.org rita@example.org\n"


def test_each_line_is_an_asset_and_the_mail_address_of_its_owner() -> None:
    assert [str(one) for one in owners.read(LINES)][:2] == ["shop ana@example.org", "mail gateway luis@example.org"]
    assert owners.read("shop ana@example.org\nSHOP ana@example.org") == [Owned("shop", "ana@example.org")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("shop", "no line such as"),
        ("shop Ana", "no line such as"),
        ("shop, ana@example.org", "no line such as"),
        ("ana@example.org", "no line such as"),
        ("shop <script>@example.org", "no line such as"),
        ("shop ana@example.org\nshop luis@example.org", "two owners"),
        ("a b@example.org\n" * (owners.MOST + 1), "more than"),
    ],
)
def test_a_line_that_cannot_be_meant_is_said(text: str, said: str) -> None:
    with pytest.raises(Invalid) as caught:
        owners.read(text)
    assert {problem.path for problem in caught.value.problems} == {"owners"}
    assert said in caught.value.problems[0].message


@pytest.mark.usefixtures("database")
def test_what_is_kept_is_all_there_is_and_each_change_is_told(people: People) -> None:
    with unit_of_work() as uow:
        assert owners.keep(uow, people.ana, owners.read(LINES)) == 5
    with unit_of_work() as uow:
        assert owners.keep(uow, people.ana, owners.read(LINES)) == 0, "nothing has changed"
    with unit_of_work() as uow:
        assert owners.keep(uow, people.ana, owners.read("shop luis@example.org\npc-7 ana@example.org")) == 4
    with pytest.raises(Forbidden), unit_of_work() as uow:
        owners.keep(uow, people.rita, [])
    with reading() as session:
        assert [str(one) for one in owners.listed(session)] == ["pc-7 ana@example.org", "shop luis@example.org"]
        last, first = journal.entries(session, ref=Ref("setting", "owners"))
    assert (first.verb, first.body, last.body) == ("owners.changed", {"kept": 5, "removed": 0}, {"kept": 1, "removed": 3})
    assert last.data is not None
    assert last.data["removed"] == ["example.org", "mail gateway", "pay.example.org"]


@pytest.mark.usefixtures("database")
def test_the_nearest_line_counts(people: People) -> None:
    asked = ["Shop", "PC-7.corp.example.org", "pay.example.org", "x.pay.example.org", "www.example.org", "example.net", "203.0.113.9", "", "mail gateway"]
    with unit_of_work() as uow:
        owners.keep(uow, people.ana, owners.read(LINES))
    with reading() as session:
        assert owners.of(session, asked) == {
            "Shop": "ana@example.org", "PC-7.corp.example.org": "ana@example.org", "pay.example.org": "eva@example.org",
            "x.pay.example.org": "eva@example.org", "www.example.org": "rita@example.org", "mail gateway": "luis@example.org",
        }  # fmt: skip
        assert owners.of(session, []) == {}
