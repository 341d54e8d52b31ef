#!/usr/bin/env bash
# Build pypolymlp into an environment: no root, no system-wide Eigen, no conda.
# usage: tools/install_pypolymlp.sh PYTHON
set -euo pipefail
python=${1:?usage: tools/install_pypolymlp.sh PYTHON}

# Its build requirements name neither Eigen nor cmake; without isolation it sees ours.
"$python" -m pip install --quiet \
    cmeel-eigen scikit-build-core setuptools-scm cmake ninja pybind11
packages=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
scripts=$("$python" -c 'import sysconfig; print(sysconfig.get_path("scripts"))')
PATH="$scripts:$PATH" CMAKE_PREFIX_PATH="$packages/cmeel.prefix" \
    "$python" -m pip install --quiet --no-build-isolation pypolymlp
"$python" -c 'from pypolymlp.mlp_dev.pypolymlp import Pypolymlp'
