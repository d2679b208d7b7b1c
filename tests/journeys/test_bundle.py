"""The offline bundle: made from what is locked, installed and started in an empty place that no network reaches."""

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from free_ports import free_port
from tables_ready import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

# Its own network has nothing but a loopback that is down; where the system allows no such thing, pip is refused the network.
APART = (["unshare", "-n"], ["unshare", "-rn"], [])
STARTED = """
import fcntl, socket, struct, subprocess, sys, time, urllib.request
if sys.argv[2] == "apart":
    with socket.socket() as up:
        fcntl.ioctl(up, 0x8914, struct.pack("16sH14x", b"lo", 0x41))  # SIOCSIFFLAGS: IFF_UP | IFF_RUNNING
running = subprocess.Popen([".venv/bin/tocsin", "serve"])
end = time.monotonic() + 90
while time.monotonic() < end and running.poll() is None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/readyz", timeout=5) as answer:
            print("ready:", answer.read().decode())
        break
    except OSError:
        time.sleep(0.2)
running.terminate()
sys.exit(running.wait(20))
"""


def apart() -> list[str]:
    """What to put before a command so that it has no network."""
    for before in APART:
        try:
            if subprocess.run([*before, "true"], capture_output=True, check=False).returncode == 0:
                return before
        except FileNotFoundError:
            continue
    raise AssertionError("unreachable: true is always true")


def test_it_installs_and_starts_without_a_network(tmp_path: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "bundle.make", "--out", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    (bundle,) = tmp_path.glob("tocsin-*.tar.gz")
    with tarfile.open(bundle) as packed:
        packed.extractall(tmp_path / "there", filter="data")
    (home,) = (tmp_path / "there").iterdir()
    assert not (home / "tests").exists()
    locked = (ROOT / "uv.lock").read_text(encoding="utf-8")
    pins = (home / "wheels" / "requirements.txt").read_text(encoding="utf-8").split("\n")
    for pin in filter(None, pins):
        name, _equals, version = pin.partition(" ")[0].partition("==")
        assert f'name = "{name.lower().replace("_", "-")}"\nversion = "{version}"' in locked, pin

    port, before = free_port(), apart()
    env = {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHON": sys.executable, "PIP_NO_INDEX": "1",
        "https_proxy": "http://127.0.0.1:9", "TOCSIN_DATA_DIR": str(tmp_path / "data"), "TOCSIN_PORT": str(port),
    }  # fmt: skip
    done = subprocess.run(
        [*before, "./install.sh", "--version"], cwd=home, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("tocsin, version")
    (made,) = home.glob(".venv.*")
    again = subprocess.run(
        [*before, "./install.sh", "playbooks", "test", "--playbook", "phishing"],
        cwd=home, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert again.returncode == 0, again.stdout + again.stderr
    assert list(home.glob(".venv.*")) == [made], "what was made is not made again"
    started = subprocess.run(
        [*before, ".venv/bin/python", "-c", STARTED, str(port), "apart" if before else "beside"],
        cwd=home, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert started.returncode == 0, started.stderr[-3000:]
    assert 'ready: {"status":"ready"}' in started.stdout
    assert f"Tocsin is ready on http://localhost:{port}" in started.stdout

    other = env | {"PYTHON": "/bin/false", "PATH": "/nowhere"}
    refused = subprocess.run(
        ["/bin/sh", "./install.sh"], cwd=home, env=other, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 1
    assert "was made for Python" in refused.stderr
