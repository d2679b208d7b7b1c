"""What the two clients send is the same, and as long as they say."""

import json
import re

import pytest

from bench import load, wrk
from bench.load import Load


def load_of(**given: object) -> Load:
    return Load("http://127.0.0.1:1/ingest/x", "secret", load.body_for("tocsin"), **given)  # type: ignore[arg-type]  # a test's choice


@pytest.mark.parametrize("product", ["tocsin", "alerta"])
def test_every_body_is_json_of_one_length(product: str) -> None:
    given = Load("http://127.0.0.1:1/x", "", load.body_for(product), duplicates=90, seed=3)
    bodies = [load.filled(given, number) for number in (0, 89, 90, 99, 12_345, 9_999_999)]
    assert {len(body) for body in bodies} == {len(given.body)}
    assert 1000 < len(given.body) < 1300
    for body in bodies:
        assert "@" not in json.dumps(json.loads(body))


def test_ninety_of_a_hundred_repeat() -> None:
    given = load_of(duplicates=90, seed=1)
    names = [load.name_of(given, number) for number in range(1000)]
    assert len({name for name in names if name.startswith("d")}) == 90
    assert len({name for name in names if name.startswith("u")}) == 100
    assert not set(names[90:100]) & {load.name_of(load_of(duplicates=90, seed=2), n) for n in range(1000)}


def test_both_products_get_the_same_names_on_the_same_hosts() -> None:
    ours, theirs = load_of(), Load("http://127.0.0.1:1/alert", "", load.body_for("alerta"))
    one, other = json.loads(load.filled(ours, 77)), json.loads(load.filled(theirs, 77))
    assert (one["id"], one["host"]) == (other["event"], other["resource"])


def test_the_head_proves_something_only_with_a_token() -> None:
    given = load_of()
    assert "Authorization: Bearer secret\r\n" in load.head_of(given)
    assert f"Content-Length: {len(load.filled(given, 5))}\r\n" in load.head_of(given)
    assert "Authorization" not in load.head_of(Load("http://127.0.0.1:1/alert", "", "x"))


def test_wrk_puts_its_request_together_from_the_same_pieces() -> None:
    given = load_of(duplicates=90, seed=7)
    marks = {load.NAME: "name", load.SERIAL: "serial", load.HOST: "host"}
    script = wrk._script(given, load.head_of(given), marks)
    together = re.search(r"return head \.\. (.*)", script)
    assert together
    spoken = re.sub(
        r"\[==\[(.*?)\]==\]|(\w+)", lambda found: found[1] or f"<{found[2]}>", together[1]
    ).replace(" .. ", "")
    for mark, word in marks.items():
        assert spoken.count(f"<{word}>") == given.body.count(mark)
    assert "duplicates = 90" in script
    assert 'string.format("u00007%010d", n)' in script
