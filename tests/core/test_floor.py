"""Small parts of the floor: ids, secrets, settings, YAML with lines, logs."""

import json
import logging
import pickle
from pathlib import Path

import pytest

from core import logs
from core.errors import Invalid
from core.ids import new_id
from core.plugins import load_yaml
from core.secrets import Secret, Unsealable, seal, sign, unseal, unsign
from core.settings import Settings, configure


def test_ids_grow_and_say_that_they_are_version_7() -> None:
    made = [new_id() for _ in range(5000)]
    assert made == sorted(made)
    assert len(set(made)) == 5000
    assert {i.version for i in made} == {7}
    assert {i.variant for i in made} == {"specified in RFC 4122"}


def test_a_secret_never_shows(test_settings: Settings) -> None:
    configure(test_settings)
    secret = Secret("hunter2")
    assert "hunter2" not in f"{secret} {secret!r} {[secret]}"
    assert secret.reveal() == "hunter2"
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    sealed = seal("hunter2", "okta")
    assert "hunter2" not in sealed
    assert sealed != seal("hunter2", "okta")
    assert unseal(sealed, "okta") == "hunter2"
    for wrong in (sealed[:-3] + "abc", "v1.", "nonsense"):
        with pytest.raises(Unsealable):
            unseal(wrong, "okta")
    with pytest.raises(Unsealable):
        unseal(sealed, "slack")


def test_signed_values_expire_and_cannot_be_altered_or_reused(test_settings: Settings) -> None:
    configure(test_settings)
    token = sign("page.ack", {"page": "1"}, 60)
    assert unsign("page.ack", token) == {"page": "1"}
    with pytest.raises(Invalid, match="not valid"):
        unsign("auth.start", token)
    with pytest.raises(Invalid, match="not valid"):
        unsign("page.ack", token[:-4])
    with pytest.raises(Invalid, match="expired"):
        unsign("page.ack", sign("page.ack", {}, -1))


def test_the_secret_key_is_made_once_and_readable_by_nobody_else(tmp_path: Path) -> None:
    first = Settings.load({"TOCSIN_DATA_DIR": str(tmp_path)})
    again = Settings.load({"TOCSIN_DATA_DIR": str(tmp_path)})
    assert first.secret_key == again.secret_key
    assert len(first.secret_key) >= 32
    assert (tmp_path / "secret.key").stat().st_mode & 0o077 == 0
    assert first.secret_key.decode() not in repr(first)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("TOCSIN_PORT", "eighty", "TOCSIN_PORT must be a whole number"),
        ("TOCSIN_SECRET_KEY", "short", "at least 32 characters"),
        ("TOCSIN_DATABASE_URL", "mysql://x", "sqlite:/// or postgresql://"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(tmp_path: Path, name: str, value: str, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        Settings.load({"TOCSIN_DATA_DIR": str(tmp_path), name: value})


def test_yaml_remembers_lines_and_keeps_words_as_words() -> None:
    data, marks = load_yaml(
        "a:\n  - on: incident.opened\n    yes: no\n  - {b: true, at: 2026-01-01}\n", "p.yaml"
    )
    assert data == {"a": [{"on": "incident.opened", "yes": "no"}, {"b": True, "at": "2026-01-01"}]}
    assert marks.at(("a", 0, "yes")) == "p.yaml:3"
    assert marks.at(("a", 1, "no", "such")) == "p.yaml:4"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\na: 2", "p.yaml:2: the key 'a' stands here twice"),
        ("a: [1,\nb: 2", "p.yaml:"),
        ("a: !!python/object:os.system x", "p.yaml"),
        ("? [1]\n: 2", "a key must be a word"),
    ],
)
def test_yaml_that_cannot_be_read_says_where(text: str, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        load_yaml(text, "p.yaml")


def test_a_log_line_is_one_json_object() -> None:
    record = logging.LogRecord("core", logging.WARNING, "x.py", 1, "two\nlines %s", ("here",), None)
    record.delivery = "42"
    told = json.loads(logs.JsonLines().format(record))
    assert told["message"] == "two\nlines here"
    assert (told["level"], told["delivery"]) == ("warning", "42")
