"""Limits as they are written, and what an answer says about when to come again."""

from datetime import timedelta

import pytest
from held_time import HeldClock

from connectors import rates
from connectors.contract import DeclarationError, Rate
from connectors.declared import from_text
from core.errors import Invalid

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
HEAD = "connector: acme\nname: Acme\nkind: intel\ndocs: https://acme.example/docs\n"


@pytest.mark.parametrize(
    ("text", "meant", "spelled"),
    [
        ("4/1m", (Rate(4, MINUTE),), "4/1m"),
        (" 4 / m ,500/1D", (Rate(4, MINUTE), Rate(500, DAY)), "4/1m, 500/1d"),
        ("10/90s", (Rate(10, timedelta(seconds=90)),), "10/90s"),
        ("6000/3600s", (Rate(6000, timedelta(hours=1)),), "6000/1h"),
        ("None", (), "none"),
    ],
)
def test_what_a_person_writes(text: str, meant: tuple[Rate, ...], spelled: str) -> None:
    assert rates.read(text) == meant
    assert rates.written(meant) == spelled
    assert rates.read(spelled) == meant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4",
        "4 a minute",
        "0/1m",
        "10001/1m",
        "4/0s",
        "4/32d",
        "-4/1m",
        "4/1m,",
        "1/1s,1/2s,1/3s,1/4s,1/5s",
    ],
)
def test_what_cannot_be_kept_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="such as 4/1m"):
        rates.read(text)


def test_a_file_says_how_often_its_product_may_be_called() -> None:
    one = from_text(HEAD + "rate: {calls: 60, per: 1m}\nrate_reset: X-Rate-Limit-Reset\n", "acme")
    assert (one.rates, one.rate_reset) == ((Rate(60, MINUTE),), "x-rate-limit-reset")
    two = from_text(HEAD + "rate: [{calls: 4, per: 1m}, {calls: 500, per: 1d}]\n", "acme")
    assert two.rates == (Rate(4, MINUTE), Rate(500, DAY))
    assert from_text(HEAD, "acme").rates == ()


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("rate: 60", "acme.py:5: rate: must be a mapping, not a number"),
        ("rate: {calls: 60}", 'acme.py:5: rate: "per" is missing'),
        ("rate: {calls: many, per: 1m}", "acme.py:5: rate.calls: must be a number, not text"),
        ("rate: {calls: 60, per: minute}", 'acme.py:5: rate.per: "minute" is not a duration'),
        (
            "rate:\n  - {calls: 60, per: 1m}\n  - {calls: 0, per: 1h}",
            "acme.py:7: rate.1: calls must be a whole number",
        ),
        ("rate: {calls: 1.5, per: 1m}", "acme.py:5: rate: calls must be a whole number"),
        ("rate: {calls: 60, per: 20ms}", "acme.py:5: rate: per must be a duration from 1s to 31d"),
        ("rate: {calls: 60, per: 1m, burst: 3}", "acme.py:5: rate.burst: unknown name"),
    ],
)
def test_a_wrong_limit_is_told_with_its_line(written: str, told: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        from_text(HEAD + written + "\n", "acme")
    assert any(problem.startswith(told) for problem in caught.value.problems), caught.value.problems


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "30"}, 30),
        ({"retry-after": "86400"}, rates.MOST_WAIT),
        ({"retry-after": "9" * 400}, rates.MOST_WAIT),
        ({"retry-after": "Mon, 02 Mar 2026 09:02:00 GMT"}, 120),
        ({"retry-after": "Mon, 02 Mar 2026 08:00:00 GMT"}, 1),
        ({"retry-after": "soon"}, None),
        ({"x-reset": "1772442060"}, 60),
        ({"x-reset": "-5"}, None),
        ({"retry-after": "7", "x-reset": "1772442060"}, 7),
    ],
)
def test_how_long_an_answer_asks_us_to_wait(
    clock: HeldClock, headers: dict[str, str], seconds: float | None
) -> None:
    assert clock.now.timestamp() == 1772442000
    assert rates.asked_wait(headers, "x-reset") == seconds
