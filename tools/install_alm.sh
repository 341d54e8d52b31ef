#!/usr/bin/env bash
# Build ALM from a clone of its source and install it into an environment, without conda.
# Headers of Boost and Eigen, and the libraries LAPACK and BLAS, must be where the compiler
# finds them (CPATH, LIBRARY_PATH); spglib is that of the environment.
# usage: tools/install_alm.sh PYTHON SOURCE [FOLDER]
# If a folder is given, ALM is installed there.
set -euo pipefail
usage="usage: tools/install_alm.sh PYTHON SOURCE [FOLDER]"
python=${1:?$usage}
source=${2:?$usage}
folder=${3:-$("$python" -c 'import sysconfig; print(sysconfig.get_path("platlib"))')}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r "$source"/{src,external,python} "$work"
spglib=$("$python" -c 'import spglib, pathlib; print(pathlib.Path(spglib.__file__).parent)')
libraries=$(dirname "$(find "$spglib" -name libsymspg.so | head -1)")
eigen=$(dirname "$(echo '#include <eigen3/Eigen/Core>' | ${CXX:-g++} -M -x c++ - | tr ' ' '\n' |
    grep 'eigen3/Eigen/Core$')")

export CPATH="$spglib/include:$(dirname "$eigen"):${CPATH:-}"
export CFLAGS="-O2 -w ${CFLAGS:-}"
export LDFLAGS="-L$libraries -Wl,-rpath,$libraries ${LDFLAGS:-}"
cd "$work/python"
# Recent versions of Boost need C++14.
sed -i 's/-std=c++11/-std=c++14/' setup.py
# Only the extension: setuptools refuses the metadata of the package.
mv pyproject.toml pyproject.toml.unused
"$python" setup.py --quiet build_ext --build-lib "$folder"
cp alm/*.py "$folder/alm"
cd "$folder"
"$python" -c 'from alm import ALM'
