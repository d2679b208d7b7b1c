"""A wrong connector file is refused with every problem, its line and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.contract import DeclarationError, Effect
from connectors.declared import from_text, from_yaml

GOOD = """connector: acme
name: Acme EDR
kind: edr
docs: https://docs.example.com/api
settings:
  base_url: {type: url, required: true, description: Where it is}
secrets:
  token: {required: true}
auth: {kind: bearer, token: "{{ secrets.token }}"}
health:
  request: {method: GET, path: /health}
actions:
  get_host:
    title: Look up a host
    effect: read
    input: {host: {type: string, required: true, entity: host}}
    request: {method: GET, path: "/hosts/{{ inputs.host }}"}
    output: {state: data.state}
  isolate_host:
    title: Isolate a host
    verb: edr.isolate_host
    effect: disruptive
    input:
      host: {type: string, required: true, entity: host}
      comment: {type: string}
    request:
      method: POST
      path: "/hosts/{{ inputs.host }}/isolate"
      json: {comment: "{{ inputs.comment }}"}
      idempotency_header: X-Request-Id
    poll:
      request: {method: GET, path: "/jobs/{{ output.job }}"}
      until: body.state == "done"
      every: 5s
      timeout: 10m
    output: {job: data.job}
    probe: {action: get_host, done_when: 'output.state == "isolated"'}
    undo: release_host
  release_host:
    title: Release a host
    effect: disruptive
    input: {host: {type: string, required: true, entity: host}}
    request: {method: POST, path: "/hosts/{{ inputs.host }}/release"}
    undo: {action: isolate_host, with: {host: "{{ inputs.host }}"}}
"""


def problems(text: str) -> list[str]:
    with pytest.raises(DeclarationError) as caught:
        from_text(text, "acme")
    return caught.value.problems


def test_a_good_file_becomes_a_connector() -> None:
    connector = from_text(GOOD, "acme")
    action = connector.actions["isolate_host"]
    assert (action.full_name, action.verb, action.effect) == (
        "acme.isolate_host",
        "edr.isolate_host",
        Effect.disruptive,
    )
    assert action.request is not None
    assert action.request.idempotency_header == "X-Request-Id"
    assert action.poll is not None
    assert action.poll.timeout.total_seconds() == 600
    assert action.undo is not None
    assert action.undo.action == "release_host"
    assert connector.actions["get_host"].idempotent, "a read may always be done again"
    assert connector.auth.options == {"token": "{{ secrets.token }}"}


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        (
            "effect: disruptive\n    input:\n",
            "effect: drastic\n    input:\n",
            'acme.py:22: actions.isolate_host.effect: "drastic" is not one of read, write, disruptive, destructive',
        ),
        (
            "    undo: release_host\n",
            "",
            "acme.py:19: actions.isolate_host: is disruptive: it needs either undo, or no_undo",
        ),
        (
            "undo: release_host",
            "undo: releas_host",
            'acme.py:38: actions.isolate_host.undo: there is no action "releas_host" in this file',
        ),
        (
            "probe: {action: get_host",
            "probe: {action: release_host",
            'a probe only reads, but "release_host" is disruptive',
        ),
        (
            "entity: host}}\n    request: {method: GET",
            "entity: hots}}\n    request: {method: GET",
            '"hots" is not one of',
        ),
        ("kind: edr", "kind: edrr", 'acme.py:3: kind: "edrr" is not one of'),
        ("docs: https", "docs: http", "acme.py:4: docs: must be an https:// address"),
        ("connector: acme", "connector: acne", 'is "acne" but the file is called "acme"'),
        ("method: POST\n", "method: PSOT\n", '"PSOT" is not one of'),
        ("every: 5s", "every: soon", '"soon" is not a duration such as 30s, 5m, 1h or 7d'),
        ("verb: edr.isolate_host", "verb: isolate", '"isolate" is not a verb'),
        (
            "auth: {kind: bearer, token:",
            "auth: {kind: bearer, tokn:",
            'auth.tokn: unknown name; did you mean "token"?',
        ),
        ("auth: {kind: bearer", "auth: {kind: bear", '"bear" is not one of'),
        ("with: {host:", "with: {hots:", '"isolate_host" has no input "hots"'),
        ("    title: Look up a host\n", "", 'actions.get_host: "title" is missing'),
        ("    output: {state: data.state}", "    run: look_up", "needs exactly one of request and run"),
        ("name: Acme EDR\n", "name: Acme EDR\nname: Again\n", "acme.py:3: the key 'name' stands here twice"),
        ("kind: edr", "kind: [edr", "acme.py:"),
        (
            "actions:",
            "samples: [{file: none.json, expect: {}}]\nactions:",
            "the sample none.json cannot be read",
        ),
        ("actions:", "quiet_after: {}\nactions:", "is not a duration"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(before: str, after: str, sentence: str) -> None:
    assert before in GOOD
    assert any(sentence in problem for problem in problems(GOOD.replace(before, after, 1))), problems(
        GOOD.replace(before, after, 1)
    )


def test_everything_is_told_at_once() -> None:
    text = (
        GOOD.replace("kind: edr", "kind: x")
        .replace("docs: https", "docs: http")
        .replace("every: 5s", "every: x")
    )
    assert len(problems(text)) == 3


def test_a_python_function_must_be_in_the_file() -> None:
    text = GOOD.replace(
        '    request: {method: GET, path: "/hosts/{{ inputs.host }}"}\n    output: {state: data.state}',
        "    run: look_up",
    )
    assert 'there is no function "look_up" in this file' in problems(text)[0]
    assert (
        from_text(text, "acme", {"look_up": lambda context, inputs: {}}).actions["get_host"].run is not None
    )


def test_a_file_on_disk_is_named_in_its_problems(tmp_path: Path) -> None:
    path = tmp_path / "acme.yaml"
    path.write_text(GOOD.replace("kind: edr", "kind: x"))
    with pytest.raises(DeclarationError, match=r"^acme\.yaml:3: kind"):
        from_yaml(path)
