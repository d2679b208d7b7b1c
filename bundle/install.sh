#!/bin/sh
# Installs Tocsin from this bundle into .venv beside this file, without a network, and runs what follows: ./install.sh serve
set -eu
cd "$(dirname "$0")"
for python in "${PYTHON:-python@PYTHON@}" python3 python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (@COMMA@))' 2>/dev/null; then break; fi
    python=
done
if [ -z "$python" ]; then
    echo "This bundle was made for Python @PYTHON@, which is not here; name one: PYTHON=/opt/python@PYTHON@/bin/python3 ./install.sh" >&2
    exit 1
fi
# What a run that was killed has left goes; a run that is alive keeps its own, and .venv what it points to.
for left in .venv.[0-9]*; do
    pid=${left#.venv.}
    if [ "$left" != "$(readlink .venv)" ] && ! kill -0 "${pid%.link}" 2>/dev/null; then rm -rf "$left"; fi
done
# Made once, under a name of its own, and called .venv when it is whole: what was interrupted is never found half made.
if [ "$(cat .venv/made-in 2>/dev/null)" != "$(pwd -P)" ] || ! .venv/bin/python -I -c 'import cli' 2>/dev/null; then
    made=.venv.$$
    trap 'rm -rf "$made"' EXIT
    trap 'exit 1' HUP INT TERM
    before=$(readlink .venv || echo "$made")
    [ -L .venv ] || rm -rf .venv
    rm -rf "$made"
    "$python" -m venv --without-pip "$made"
    pip=$(echo wheels/pip-*.whl)
    "$made/bin/python" "$pip/pip" install --quiet --disable-pip-version-check --no-cache-dir --no-index --no-deps \
        --find-links wheels --require-hashes --requirement wheels/requirements.txt
    pwd -P >"$("$made/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/tocsin.pth"
    pwd -P >"$made/made-in"
    "$python" -c 'import os, sys; os.symlink(sys.argv[1], sys.argv[1] + ".link"); os.replace(sys.argv[1] + ".link", ".venv")' "$made"
    trap - EXIT HUP INT TERM
    [ "$before" = "$made" ] || rm -rf "$before"
fi
if [ $# -gt 0 ]; then exec .venv/bin/tocsin "$@"; fi
echo "$(.venv/bin/tocsin --version) is installed in $(pwd). Start it: .venv/bin/tocsin serve; docs/operate.md says how to keep it."
