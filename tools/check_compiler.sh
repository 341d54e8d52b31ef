#!/usr/bin/env bash
# Report a missing C++ compiler in one line before pypolymlp is built.
set -euo pipefail

for compiler in ${CXX:+"$CXX"} g++ c++ clang++; do
    command -v "${compiler%% *}" >/dev/null && exit 0
done
echo "ERROR: no C++ compiler (g++, c++, clang++) was found; it is required to build" \
    "pypolymlp, which is used in tests and benchmarks. Install g++ or set CXX." >&2
exit 1
