"""Every example of README and docs works as it is printed there."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import shown_examples
import yaml
from running_tocsin import COMMAND, Tocsin
from shown_examples import Example, Typed
from tables_ready import ROOT

from connectors import mapping, registry
from connectors.declared import from_text
from core.expressions import ExpressionError, compile_condition
from incidents.schema import ALERT, INCIDENT
from playbooks.catalogue import Catalogue
from playbooks.compile import compile_text

EVERY = list(shown_examples.every())
SCHEMAS = {"incident": INCIDENT, "alert": ALERT}
# Reasons are in the guides, beside the block; more than these would need a better idea.
MOST_LEFT_OUT = 7
# What a `make` line would do is tested elsewhere; here only that the target exists.
NOT_TYPED = re.compile(r"make (\w+)")


def of(language: str, *words: str) -> list[pytest.param]:  # type: ignore[valid-type]  # pytest's parameter sets
    """The examples to run of a language whose first word is one of `words`, as test parameters."""
    return [
        pytest.param(one, id=one.where)
        for one in EVERY
        if one.language == language
        and not one.left_out
        and (not words or (one.words[:1] or ("",))[0] in words)
    ]


def test_every_block_is_of_a_kind_that_is_tried_or_says_why_not() -> None:
    tried = {
        ("console", ""),
        ("json", *registry.all()),
        ("cel", *SCHEMAS),
        ("yaml", "playbook", "mapping", "connector", "facts", "cases"),
    }
    kinds = {entry[0]: set(entry[1:]) for entry in tried}
    for one in EVERY:
        if one.left_out is None:
            assert one.language in kinds, (
                f"{one.where}: nothing tries {one.language or 'a block without a language'}"
            )
            assert (one.words[:1] or ("",))[0] in kinds[one.language], (
                f"{one.where}: say what this {one.language} is"
            )
        else:
            assert len(one.left_out) > 15, f"{one.where}: say why it is not run"


def test_few_blocks_are_left_out() -> None:
    left_out = [one.where for one in EVERY if one.left_out]
    assert len(left_out) <= MOST_LEFT_OUT, left_out


@pytest.mark.parametrize("example", of("yaml", "playbook"))
def test_playbooks_compile(example: Example) -> None:
    text = example.text
    if text.startswith("- "):
        head = "version: 1\nplaybooks:\n  example:\n    steps:\n"
        text = head + "".join(f"      {line}" for line in text.splitlines(keepends=True))
    compiled = compile_text(text, example.where, Catalogue())
    assert compiled.plans, "\n".join(map(str, compiled.problems))


def test_each_kind_of_step_and_each_mode_has_its_example() -> None:
    from playbooks.registry import kinds

    guide = (ROOT / "docs" / "playbooks.md").read_text(encoding="utf-8")
    for name in kinds():
        assert f"**{name}**" in guide, f"docs/playbooks.md does not explain {name}"
    shown = "".join(one.text for one in EVERY if one.words[:1] == ("playbook",))
    for name in kinds():
        assert re.search(rf"\b{name}:", shown), f"no example of {name}"


@pytest.mark.parametrize("example", of("cel"))
def test_conditions_compile_or_are_refused_as_said(example: Example) -> None:
    schema = SCHEMAS[example.words[0]]
    for line in filter(None, map(str.strip, example.text.splitlines())):
        if "refused" in example.words:
            with pytest.raises(ExpressionError):
                compile_condition(line, schema, routing=True)
        else:
            compile_condition(line, schema, routing=True)


@pytest.mark.parametrize("example", of("yaml", "connector"))
def test_connectors_load(example: Example) -> None:
    name = yaml.safe_load(example.text)["connector"]
    made = from_text(example.text, name)
    assert made.alerts or made.actions


@pytest.mark.parametrize("example", of("json"))
def test_alerts_are_read(example: Example) -> None:
    config = {}
    if wanted := example.options.get("mapping"):
        (with_file,) = [
            one for one in EVERY if one.file == example.file and one.options.get("file") == wanted
        ]
        config = yaml.safe_load(with_file.text)
    connector = registry.get(example.words[0])
    json.loads(example.text)
    found = mapping.read(connector, example.text.encode(), "application/json", {}, config)
    assert found.drafts
    assert not found.problems
    for draft in found.drafts:
        assert draft.severity != "unknown"
        assert draft.entities


def test_each_product_has_its_section() -> None:
    guide = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")
    for product in registry.sources():
        assert f"`--connector {product.name}`" in guide, (
            f"docs/alerts.md does not say how to connect {product.title}"
        )
    named = set(re.findall(r"`--connector (\w+)`", guide))
    assert named == {product.name for product in registry.sources()}


def test_each_setting_has_its_line() -> None:
    guide = (ROOT / "docs" / "operate.md").read_text(encoding="utf-8")
    code = "".join((ROOT / "core" / name).read_text(encoding="utf-8") for name in ("settings.py", "reach.py"))
    read = set(re.findall(r'"(TOCSIN_[A-Z_]+)"', code))
    for name in read:
        assert f"`{name}`" in guide, f"docs/operate.md does not tell of {name}"


def test_links_lead_somewhere() -> None:
    for path in shown_examples.guides():
        for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
            file, _, part = target.partition("#")
            if file.startswith(("https://", "http://")):
                continue
            there = (path.parent / file).resolve() if file else path
            assert there.exists(), f"{path.name}: {target}"
            if part:
                headings = re.findall(r"^#+ (.+)$", there.read_text(encoding="utf-8"), re.MULTILINE)
                anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
                assert part in anchors, f"{path.name}: {target}: there is no such heading"


# ------------------------------------------------------------------------------------------------ what one types


def with_commands() -> list[str]:
    """The guides that show something to type."""
    shown = [one for one in EVERY if one.language == "console" and not one.left_out]
    return sorted(
        {one.file for one in shown if any(not _is_make(line) for line in shown_examples.typed(one))}
    )


def _is_make(line: Typed) -> bool:
    return NOT_TYPED.match(line.command) is not None


def test_make_targets_are_there() -> None:
    targets = (ROOT / "Makefile").read_text(encoding="utf-8")
    for path in shown_examples.guides():
        for name in re.findall(r"(?:\$ |`|&& )make ([a-z]+)", path.read_text(encoding="utf-8")):
            assert f"\n{name}:" in targets, f"{path.name}: make {name}"


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("guide", with_commands())
def test_commands_answer_as_shown(guide: str, tocsin: Callable[..., Tocsin], tmp_path: Path) -> None:
    desk = tmp_path / "desk"
    desk.mkdir()
    shutil.copy(ROOT / "playbooks.yaml", desk)  # a reader stands in Tocsin's folder
    reader = Reader(tocsin(), desk)
    for one in EVERY:
        if one.file == guide and not one.left_out:
            reader.follow(one)


class Reader:
    """Somebody who follows a guide from its top: files are saved, commands typed, answers read."""

    def __init__(self, tocsin: Tocsin, desk: Path) -> None:
        self.tocsin = tocsin.start()
        self.desk = desk
        self.env = {
            **tocsin.env,
            "PATH": f"{Path(COMMAND).parent}:{tocsin.env.get('PATH', '')}",
            "no_proxy": "*",
        }
        token = str(
            tocsin.json("token", "create", "--name", "guide", "--scope", "role:administrator")["token"]
        )
        with tocsin.client(headers={"Authorization": f"Bearer {token}"}) as client:
            draft = {"title": "Opened for the guide", "severity": "medium"}
            key = str(client.post("/api/v1/incidents", json=draft).raise_for_status().json()["key"])
        self.known: dict[str, str] = {"token": token, "incident": key}

    def follow(self, example: Example) -> None:
        """Save the file an example is, or type the commands it holds."""
        if name := example.options.get("file"):
            (self.desk / name).write_text(example.text, encoding="utf-8")
        if example.language == "console":
            for one in shown_examples.typed(example):
                self._type(example, one)

    def _type(self, example: Example, one: Typed) -> None:
        if _is_make(one):
            return
        where = f"{example.file}:{one.line}"
        fresh = shown_examples.blanks(one.shown) - shown_examples.blanks(one.command)
        known = {name: value for name, value in self.known.items() if name not in fresh}
        command = shown_examples.filled(one.command, self.known, self.tocsin.url)
        # Work goes on behind an answer that was accepted: what is asked next may take a moment to be so.
        for _attempt in range(100):
            done = subprocess.run(
                ["bash", "-c", command], env=self.env, cwd=self.desk, capture_output=True, text=True, check=False,
                timeout=60,
            )  # fmt: skip
            found = shown_examples.learned(one.shown, done.stdout, known, self.tocsin.url)
            if found is not None or not command.startswith("curl"):
                break
            subprocess.run(["sleep", "0.3"], check=True)
        assert found is not None, (
            f"{where}: {command}\nanswers\n{done.stdout}{done.stderr}\ninstead of\n{one.shown}"
        )
        assert done.returncode == 0, f"{where}: {command}: {done.stderr}"
        self.known |= found
