"""Values that must not stay are taken out of texts, nested values and bytes, however they are written there."""

import hashlib
import json
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.redaction import LONG, Redactor, is_mask, mask

KEY = "-----BEGIN EXAMPLE KEY-----\nbm90IGEgcmVhbC9rZXk=\n-----END EXAMPLE KEY-----"
TOKEN = 'ghx_Ünot/real"token\\0815'


def test_what_stays_is_the_beginning_and_a_part_of_the_hash() -> None:
    told = mask("AKIA0EXAMPLE0NOT0REAL")
    assert told == f"AKIA…[redacted, SHA-256 {hashlib.sha256(b'AKIA0EXAMPLE0NOT0REAL').hexdigest()[:12]}]"
    assert is_mask(told)
    assert mask("Summer2026!") == "[redacted]", (
        "of a short one four characters and a hash would tell the rest"
    )


@pytest.mark.parametrize("value", [KEY, TOKEN, "AKIA0EXAMPLE0NOT0REAL"], ids=["key", "token", "plain"])
@pytest.mark.parametrize(
    "written",
    [
        lambda value: value,
        lambda value: json.dumps({"match": f"x={value};", "list": [value]}),
        lambda value: json.dumps({"match": value}, ensure_ascii=False),
        lambda value: json.dumps({"match": value}).replace("/", "\\/"),
        lambda value: "payload=" + quote_plus(json.dumps({"match": value})),
        lambda value: "key=" + quote_plus(value),
        lambda value: json.dumps({"message": json.dumps({"match": value}, ensure_ascii=False)}),
    ],
    ids=["plain", "json", "json, not ascii", "json, slashes", "form of json", "form", "json in json"],
)
def test_bytes_lose_it_however_it_is_written(written, value: str) -> None:
    body = written(value).encode()
    kept = Redactor([value]).raw(body)
    assert mask(value)[:4].encode() in kept
    assert b"redacted" in kept
    for part in ("bm90IGEgcmVhbC9rZXk", "not/real", "not\\/real", "not%2Freal", "EXAMPLE0NOT"):
        assert part.encode() not in kept


def test_nested_values_and_names_lose_it_and_all_else_stays_the_same_object() -> None:
    secret = "AKIA0EXAMPLE0NOT0REAL"
    other = {"a": [1, None, {"b": "text"}]}
    redactor = Redactor([secret])
    assert redactor.value(other) is other
    assert redactor.value({secret: [f"<{secret}>", 4]}) == {mask(secret): [f"<{mask(secret)}>", 4]}


def test_what_is_short_or_a_mask_already_is_left_alone() -> None:
    assert not Redactor(["", "abc", mask("AKIA0EXAMPLE0NOT0REAL"), "[redacted]"])


def test_a_value_within_another_goes_with_the_longer_one() -> None:
    inner, outer = "hunter2-hunter2", "user:hunter2-hunter2@db"
    assert Redactor([inner, outer]).text(f"{outer} {inner}") == f"{mask(outer)} {mask(inner)}"


@given(
    st.lists(
        st.text(st.characters(codec="utf-8"), min_size=LONG, max_size=20),
        min_size=60,
        max_size=80,
        unique=True,
    )
)
def test_many_values_go_as_few_do(values: list[str]) -> None:
    values = [f"{number:06d}{value}" for number, value in enumerate(values)]
    told = Redactor(values).text("; ".join(values))
    assert not [value for value in values if value.strip() in told]
