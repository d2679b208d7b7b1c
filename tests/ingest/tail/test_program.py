"""The tail is one file for Python 3.6, installs itself with no more rights than it needs, and keeps its secret."""

import argparse
import ast
import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import oldest_python
import pytest
from system_units import command_of

from ingest.tail import assembled, command, service
from ingest.tail.assembled import PARTS

# What its standard library had not yet: (module or any object, name).
TOO_NEW = {
    "capture_output", "text", "fromisoformat", "time_ns", "TLSVersion", "walrus", "removeprefix", "removesuffix", "join_thread",
    "dataclass", "nullcontext", "cache", "cached_property", "missing_ok", "get_running_loop", "Literal", "Protocol", "Final",
    "TypedDict",
}  # fmt: skip


def test_it_is_python_3_6_and_the_standard_library_alone() -> None:
    tree = ast.parse(assembled.text(), feature_version=(3, 6))
    for node in ast.walk(tree):
        assert not isinstance(node, ast.NamedExpr | ast.Match | ast.TryStar), ast.dump(node)
        if isinstance(node, ast.FunctionDef):
            assert not node.args.posonlyargs, node.name
        if isinstance(node, ast.JoinedStr):
            assert "=}" not in ast.unparse(node)
        if isinstance(node, ast.Import | ast.ImportFrom):
            for name in [getattr(node, "module", None)] if isinstance(node, ast.ImportFrom) else node.names:
                module = name if isinstance(name, str) else name.name  # type: ignore[union-attr]  # an alias
                assert module.partition(".")[0] in sys.stdlib_module_names
                assert module != "__future__"
        if isinstance(node, ast.With):
            assert len(node.items) == 1, "several in parentheses came with 3.9"
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    used |= {
        word.arg
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for word in node.keywords
        if word.arg
    }
    used |= {name.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for name in node.names}
    assert not used & TOO_NEW


def test_the_oldest_python_runs_it_where_there_is_one(program: Path, tmp_path: Path) -> None:
    file = tmp_path / "eve.json"
    file.touch()
    words = ["--url", URL, "--print-unit", str(file)]
    done = subprocess.run(
        [oldest_python.or_this(), "-I", str(program), *words], capture_output=True, text=True, check=True, timeout=60
    )
    assert command_of(done.stdout, tmp_path)[0] == oldest_python.or_this()


def test_the_parts_in_a_row_are_the_parts() -> None:
    whole = ast.parse(assembled.text())
    names = [node.name for node in whole.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    assert len(names) == len(set(names)), "one part would hide another's"
    for part in PARTS:
        module = importlib.import_module(f"ingest.tail.{part}")
        own = [n.name for n in ast.parse(Path(str(module.__file__)).read_text()).body if hasattr(n, "name")]
        assert set(own) <= set(names)
    assert ast.get_docstring(whole) == command.__doc__.strip()  # type: ignore[union-attr]  # it has one
    assert assembled.text().endswith("sys.exit(main())\n")


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / assembled.NAME
    path.write_text(assembled.text())
    return path


@pytest.fixture
def run(program: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    def done(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
        return subprocess.run(
            [sys.executable, "-I", str(program), *words], capture_output=True, text=True, timeout=30, check=False,
            env={**kept, **env}, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    return done


URL = "https://tocsin.example.org/ingest/suricata"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["eve.json"], "give --url"),
        (["--url", URL], "name at least one file"),
        (["--url", URL, "eve.json"], "there is no secret: set TOCSIN_SECRET or give --secret-file"),
        (["--url", URL, "--since", "yesterday", "eve.json"], "--since yesterday: write 90m, 24h or 7d"),
    ],
)
def test_what_is_missing_is_said(run: Any, words: list[str], says: str) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert says in done.stderr


def test_status_of_a_tail_that_has_sent_nothing(run: Any, tmp_path: Path) -> None:
    done = run("--url", URL, "--state", str(tmp_path), "--status")
    assert done.stdout == "sent 0 lines (0 B) in 0 batches\n"


def test_what_may_not_be_read_is_said_and_nothing_is_begun(run: Any, tmp_path: Path) -> None:
    done = run(
        "--url",
        URL,
        "--state",
        str(tmp_path),
        "--once",
        str(tmp_path / "nothing" / "eve.json"),
        TOCSIN_SECRET="x",
    )
    assert done.returncode == 0, "a file that is not there yet is waited for"
    (tmp_path / "eve.json").mkdir()
    done = run(
        "--url", URL, "--state", str(tmp_path), "--once", str(tmp_path / "eve.json"), TOCSIN_SECRET="x"
    )
    assert done.returncode == 1
    assert "cannot begin: [Errno 21] Is a directory" in done.stderr


def options(**given: Any) -> argparse.Namespace:
    blank = {"ca": None, "pin": None, "since": None, "filter": None, "no_filter": False, "url": URL}
    return argparse.Namespace(**{**blank, **given})


def test_the_unit(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "eve.json"
    file.touch()
    done = run("--url", URL, "--since", "24h", "--filter", "event_type=alert", "--print-unit", str(file))
    lines = done.stdout.splitlines()
    assert command_of(done.stdout, tmp_path)[1:] == [
        service.PROGRAM, "--url", URL, "--since", "24h", "--filter", "event_type=alert", str(file),
    ]  # fmt: skip
    assert "EnvironmentFile=/etc/tocsin-tail/suricata.env" in lines
    for hardening in ("DynamicUser=yes", "NoNewPrivileges=yes", "ProtectSystem=strict", "ProtectHome=yes"):
        assert hardening in lines


def test_it_reads_with_the_groups_of_the_files_where_these_may(tmp_path: Path) -> None:
    folder = tmp_path / "alerts"
    folder.mkdir()
    file = folder / "alerts.json"
    file.touch()
    for place in (tmp_path, *tmp_path.parents):
        if place.stat().st_uid == os.getuid() and place != Path("/"):
            place.chmod(place.stat().st_mode | 0o001)
    os.chown(folder, -1, 4242)
    os.chown(file, -1, 4243)
    folder.chmod(0o750)
    file.chmod(0o640)
    assert service.readers([str(file)]).splitlines() == [
        "DynamicUser=yes", "SupplementaryGroups=4242 4243", "CapabilityBoundingSet=",
    ]  # fmt: skip
    file.chmod(0o600)
    assert "AmbientCapabilities=CAP_DAC_READ_SEARCH" in service.readers([str(file)])
    assert "CAP_DAC_READ_SEARCH" in service.readers([str(tmp_path / "not there yet")])


def test_installing(program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = tmp_path / "told"
    systemctl = tmp_path / "bin" / "systemctl"
    systemctl.parent.mkdir()
    systemctl.write_text(f'#!/bin/sh\necho "$@" >> {told}\n')
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{systemctl.parent}:{os.environ['PATH']}")
    root = tmp_path / "root"
    name = service.install(options(), ["/var/log/suricata/eve.json"], "s3cret", str(program), str(root))
    assert name == "tocsin-tail-suricata"
    assert told.read_text().splitlines() == ["daemon-reload", f"enable {name}", f"restart {name}"]
    kept = root / "etc/tocsin-tail/suricata.env"
    assert (kept.read_text(), kept.stat().st_mode & 0o777) == ("TOCSIN_SECRET=s3cret\n", 0o600)
    unit = (root / f"etc/systemd/system/{name}.service").read_text()
    assert "s3cret" not in unit
    installed = root / service.PROGRAM.lstrip("/")
    assert installed.read_text() == assembled.text()


def test_a_secret_file_is_read_anew_each_time(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("first\n")
    read = command.secret_reader(argparse.Namespace(secret_file=str(file), install=False))
    assert read() == "first"
    file.write_text("second\n")
    assert read() == "second"


def test_installing_without_systemd_says_what_to_do(run: Any, tmp_path: Path) -> None:
    done = run("--url", URL, "--install", "eve.json", TOCSIN_SECRET="x", PATH=str(tmp_path))
    assert done.returncode == 2
    assert "there is no systemctl here" in done.stderr
