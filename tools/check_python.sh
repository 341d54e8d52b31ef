#!/usr/bin/env bash
# Report missing requirements of a Python in one line before anything is installed.
# usage: tools/check_python.sh PYTHON
set -euo pipefail
python=${1:?usage: tools/check_python.sh PYTHON}

fail() {
    echo "ERROR: $1" >&2
    exit 1
}

command -v "$python" >/dev/null ||
    fail "$python was not found; expected Python >= 3.11. Try 'make PYTHON=python3.11'."
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$python is Python $version; expected >= 3.11. Try 'make PYTHON=python3.11'."
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    fail "$python has no venv module; on Debian, install the package python3-venv."
