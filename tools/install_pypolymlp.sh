#!/usr/bin/env bash
# Build pypolymlp and install it into an environment, without root privileges, a
# system-wide Eigen or conda.
# usage: tools/install_pypolymlp.sh PYTHON [FOLDER]
# If a folder is given, pypolymlp is installed there without its dependencies; CXXFLAGS
# are used.
set -euo pipefail
python=${1:?usage: tools/install_pypolymlp.sh PYTHON [FOLDER]}
folder=${2:-}

# The build requirements of pypolymlp include neither Eigen nor cmake. Without isolation
# the build uses those that are installed here.
"$python" -m pip install --quiet --no-compile \
    cmeel-eigen scikit-build-core setuptools-scm cmake ninja pybind11
packages=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
scripts=$("$python" -c 'import sysconfig; print(sysconfig.get_path("scripts"))')
export PATH="$scripts:$PATH" CMAKE_PREFIX_PATH="$packages/cmeel.prefix"
install=("$python" -m pip install --quiet --no-compile --no-build-isolation)
if [ -n "$folder" ]; then
    # Do not use a wheel that was built for generic machines.
    "${install[@]}" --no-deps --no-cache-dir --no-binary pypolymlp \
        --upgrade --target "$folder" pypolymlp
else
    "${install[@]}" pypolymlp
    "$python" -c 'from pypolymlp.mlp_dev.pypolymlp import Pypolymlp'
fi
