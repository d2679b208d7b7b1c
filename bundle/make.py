"""`make bundle`: one tar.gz with the program, a wheel of everything that uv.lock pins for this platform, and install.sh.

The wheels are packed from an environment that uv makes anew of what is locked, each file checked against the digest with which
it was installed. With SOURCE_DATE_EPOCH set the same checkout gives the same bytes.
"""

import argparse
import base64
import csv
import gzip
import hashlib
import os
import platform
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import HeaderParser
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).parents[1]
BESIDE = ("docs", "playbooks.yaml", "playbooks.tests.yaml", "pyproject.toml", "uv.lock", "README.md", "CHANGELOG.md", "LICENSE")
"""What is in the bundle besides the packages and install.sh."""
# What an installer adds by itself, which is no part of a wheel.
_INSTALLERS = {"INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json", "RECORD"}
_OUTSIDE = (
    "bin/",
    "share/",
    "include/",
)  # console scripts are made anew; man pages and headers are not needed


@dataclass(frozen=True)
class Wheel:
    """A wheel: its file's name, its bytes, and the project and version it is of."""

    filename: str
    content: bytes
    name: str
    version: str


def main(arguments: list[str] | None = None) -> None:
    """Make the bundle and print where it is."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="the folder it goes to")
    given = parser.parse_args(arguments)
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project, packages = table["project"], table["tool"]["uv"]["build-backend"]["module-name"]
    name = f"tocsin-{project['version']}-py{_python()}-{platform.system().lower()}-{platform.machine()}"
    given.out.mkdir(parents=True, exist_ok=True)
    path = given.out / f"{name}.tar.gz"
    with tempfile.TemporaryDirectory(prefix="tocsin-bundle-") as folder:
        site = _environment(Path(folder))
        wheels = [
            *_installed(site),
            *_installed(Path(sysconfig.get_path("purelib")), only="pip"),
            _own(project),
        ]
    _write(path, name, _sources(packages), wheels)
    print(f"{path}  {path.stat().st_size / 1e6:.0f} MB, {len(wheels)} wheels for Python {_python()}")


def _environment(folder: Path) -> Path:
    """What uv.lock pins for running, installed anew; returns its site-packages. Raises CalledProcessError."""
    env = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(folder / "env"), "UV_COMPILE_BYTECODE": "0"}
    uv = Path(sys.executable).with_name("uv")
    options = [
        "--quiet",
        "--locked",
        "--no-default-groups",
        "--no-install-project",
        "--python",
        sys.executable,
    ]
    subprocess.run([uv, "sync", *options], cwd=ROOT, env=env, check=True)
    return folder / "env" / "lib" / f"python{_python()}" / "site-packages"


def _installed(site: Path, only: str = "") -> Iterator[Wheel]:
    """A wheel of each distribution in a site-packages (or of one), by name."""
    for info in sorted(site.glob("*.dist-info")):
        if not only or info.name.partition("-")[0] == only:
            yield _packed(site, info)


def _packed(site: Path, info: Path) -> Wheel:
    metadata = HeaderParser().parsestr((info / "METADATA").read_text(encoding="utf-8"))
    tags = HeaderParser().parsestr((info / "WHEEL").read_text(encoding="utf-8")).get_all("Tag", [])
    files: dict[str, bytes] = {}
    with (info / "RECORD").open(encoding="utf-8", newline="") as record:
        for path, digest, _size in csv.reader(record):
            if path.startswith("../"):
                if not path.lstrip("./").startswith(_OUTSIDE):
                    sys.exit(f"{info.name} has a file at {path}, which a bundle would lose")
                continue
            if "__pycache__" in path or (
                Path(path).parent.name == info.name and Path(path).name in _INSTALLERS
            ):
                continue
            content = (site / path).read_bytes()
            if digest and digest != _digest(content):
                sys.exit(f"{info.name}: {path} is not what was installed")
            files[path] = content
    name, version = metadata["Name"], metadata["Version"]
    parts = zip(*(tag.split("-") for tag in tags), strict=True)
    tag = "-".join(".".join(dict.fromkeys(part)) for part in parts)
    return _wheel(name, version, tag, info.name, files)


def _own(project: dict[str, str]) -> Wheel:
    """Tocsin's own name, version and command; its code stays where the bundle is unpacked."""
    name, version = project["name"], project["version"]
    (command, entry), *_more = dict(project["scripts"]).items()  # type: ignore[call-overload]  # a table of its own
    info = f"{name}-{version}.dist-info"
    texts = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: make bundle\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "entry_points.txt": f"[console_scripts]\n{command} = {entry}\n",
    }
    return _wheel(
        name, version, "py3-none-any", info, {f"{info}/{path}": text.encode() for path, text in texts.items()}
    )


def _wheel(name: str, version: str, tag: str, info: str, files: dict[str, bytes]) -> Wheel:
    """Files and their RECORD in a zip; not compressed, the tar around it is."""
    rows = [f"{_quoted(path)},{_digest(content)},{len(content)}" for path, content in sorted(files.items())]
    record = f"{info}/RECORD"
    whole = BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_STORED) as packed:
        for path, content in [*sorted(files.items()), (record, "\n".join([*rows, f"{record},,"]).encode())]:
            packed.writestr(zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0)), content)
    plain = info.removesuffix(".dist-info")
    return Wheel(f"{plain}-{tag}.whl", whole.getvalue(), name, version)


def _write(path: Path, name: str, sources: list[Path], wheels: list[Wheel]) -> None:
    """The tar.gz, all in one folder of its name."""
    newest = max(int(file.stat().st_mtime) for file in sources)
    at = int(
        os.environ.get("SOURCE_DATE_EPOCH", newest)
    )  # never that of an older bundle: compiled files go by it
    filled = (ROOT / "bundle" / "install.sh").read_text(encoding="utf-8")
    filled = filled.replace("@PYTHON@", _python()).replace("@COMMA@", _python().replace(".", ", "))
    pins = [
        f"{one.name}=={one.version} --hash=sha256:{hashlib.sha256(one.content).hexdigest()}" for one in wheels
    ]
    unfinished = path.with_name(path.name + ".unfinished")
    with (
        unfinished.open("wb") as raw,
        gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar,
    ):

        def add(inside: str, content: bytes, *, runs: bool = False) -> None:
            entry = tarfile.TarInfo(f"{name}/{inside}")
            entry.size, entry.mtime, entry.mode = len(content), at, 0o755 if runs else 0o644
            tar.addfile(entry, BytesIO(content))

        add("install.sh", filled.encode(), runs=True)
        for file in sources:
            add(str(file.relative_to(ROOT)), file.read_bytes(), runs=os.access(file, os.X_OK))
        add(
            "wheels/requirements.txt",
            "".join(f"{pin}\n" for pin in pins if not pin.startswith("pip==")).encode(),
        )
        for one in wheels:
            add(f"wheels/{one.filename}", one.content)
    unfinished.rename(path)


def _sources(packages: list[str]) -> list[Path]:
    """The files of the checkout that go in, in order."""
    found: list[Path] = []
    for name in (*packages, *BESIDE):
        inside = (ROOT / name).rglob("*") if (ROOT / name).is_dir() else [ROOT / name]
        found += [path for path in inside if path.is_file() and "__pycache__" not in path.parts]
    return sorted(found)


def _python() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _digest(content: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def _quoted(path: str) -> str:
    return f'"{path}"' if "," in path else path


if __name__ == "__main__":
    main()
