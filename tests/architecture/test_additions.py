"""Every addition is one file with one object, found by walking its folder, and has a test that names it."""

import importlib
from pathlib import Path

import pytest
from tables_ready import ROOT

from core import plugins


def _names(folder: str) -> list[str]:
    files = [*(ROOT / folder).glob("*.py"), *(ROOT / folder).glob("*.yaml")]
    return sorted(file.stem for file in files if not file.stem.startswith("_"))


def _tests(folder: str) -> str:
    return "\n".join(file.read_text(encoding="utf-8") for file in (ROOT / "tests" / folder).rglob("*.py"))


@pytest.mark.parametrize(
    ("folder", "tests"),
    [("connectors/catalog", "connectors"), ("notify/channels", "notify"), ("playbooks/steps", "playbooks"),
     ("reports/lights", "reports")],
)  # fmt: skip
def test_every_addition_is_named_by_a_test(folder: str, tests: str) -> None:
    names = _names(folder)
    assert names
    text = _tests(tests)
    files = _files(tests)
    untested = [
        name
        for name in names
        if f'"{name}' not in text and not {f"test_{name}.py", f"conversations/{name}.yaml"} & files
    ]
    assert not untested, f"no test in tests/{tests} names: {', '.join(untested)}"


@pytest.mark.parametrize(
    "package", ["connectors.catalog", "notify.channels", "playbooks.steps", "reports.lights", "cli.commands"]
)
def test_every_module_of_a_folder_of_additions_imports_alone(package: str) -> None:
    for name in plugins.module_names(package):
        assert importlib.import_module(f"{package}.{name}").__doc__, (
            f"{package}.{name} says nothing about itself"
        )


def test_no_two_additions_share_a_name() -> None:
    for folder in ("connectors/catalog", "notify/channels", "playbooks/steps"):
        names = _names(folder)
        assert len(names) == len(set(names)), folder


def _files(folder: str) -> set[str]:
    """The names of the test files of a folder, and of the conversations that one of them plays."""
    place = ROOT / "tests" / folder
    played = {f"conversations/{Path(file).name}" for file in place.glob("conversations/*.yaml")}
    return {Path(file).name for file in place.rglob("test_*.py")} | played
