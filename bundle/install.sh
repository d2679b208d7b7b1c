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
"$python" -m venv --clear --without-pip .venv
pip=$(echo wheels/pip-*.whl)
.venv/bin/python "$pip/pip" install --quiet --disable-pip-version-check --no-cache-dir --no-index --no-deps \
    --find-links wheels --require-hashes --requirement wheels/requirements.txt
pwd -P >"$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/tocsin.pth"
if [ $# -gt 0 ]; then exec .venv/bin/tocsin "$@"; fi
echo "$(.venv/bin/tocsin --version) is installed in $(pwd). Start it: .venv/bin/tocsin serve; docs/operate.md says how to keep it."
