"""Other products beside us: each in an environment of its own, made on demand from pinned requirements."""

import hashlib
import subprocess
import sys
from pathlib import Path

from bench.installation import ROOT
from bench.processes import plain_environment

_HERE = Path(__file__).parent


def python(name: str) -> str:
    """The Python of a peer's environment ("alerta" or "engines"); installs it when its requirements have changed."""
    requirements = _HERE / f"{name}.txt"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    folder = ROOT / ".venv" / "peers" / name
    stamp = folder / "made-from"
    if not stamp.exists() or stamp.read_text(encoding="ascii") != wanted:
        print(f"installing {requirements.name} …", file=sys.stderr, flush=True)
        uv = str(Path(sys.executable).with_name("uv"))
        env = {**plain_environment(), "UV_PYTHON_DOWNLOADS": "never"}
        subprocess.run(
            [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)], check=True, env=env
        )
        install = [
            uv,
            "pip",
            "sync",
            "--quiet",
            "--python",
            str(folder / "bin" / "python"),
            str(requirements),
        ]
        subprocess.run(install, check=True, env=env)
        stamp.write_text(wanted, encoding="ascii")
    return str(folder / "bin" / "python")


def version(environment: str, package: str) -> str:
    """The version of a package that an environment is pinned to."""
    for line in (_HERE / f"{environment}.txt").read_text(encoding="utf-8").splitlines():
        name, _, pinned = line.partition("==")
        if name == package:
            return pinned
    raise LookupError(f"{environment}.txt does not name {package}")
