#!/usr/bin/env bash
# Build pypolymlp into an environment: no root, no system-wide Eigen, no conda.
# usage: tools/install_pypolymlp.sh PYTHON [FOLDER]
# With a folder, it goes there instead, without its dependencies; CXXFLAGS are used.
set -euo pipefail
python=${1:?usage: tools/install_pypolymlp.sh PYTHON [FOLDER]}
folder=${2:-}

# Its build requirements name neither Eigen nor cmake; without isolation it sees ours.
"$python" -m pip install --quiet --no-compile \
    cmeel-eigen scikit-build-core setuptools-scm cmake ninja pybind11
packages=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
scripts=$("$python" -c 'import sysconfig; print(sysconfig.get_path("scripts"))')
export PATH="$scripts:$PATH" CMAKE_PREFIX_PATH="$packages/cmeel.prefix"
install=("$python" -m pip install --quiet --no-compile --no-build-isolation)
if [ -n "$folder" ]; then
    # A wheel that was built for any machine must not be taken.
    "${install[@]}" --no-deps --no-cache-dir --no-binary pypolymlp \
        --upgrade --target "$folder" pypolymlp
else
    "${install[@]}" pypolymlp
    "$python" -c 'from pypolymlp.mlp_dev.pypolymlp import Pypolymlp'
fi
