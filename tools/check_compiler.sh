#!/usr/bin/env bash
# Say in one line that a C++ compiler is missing before pypolymlp is built.
set -euo pipefail

for compiler in ${CXX:+"$CXX"} g++ c++ clang++; do
    command -v "${compiler%% *}" >/dev/null && exit 0
done
echo "ERROR: no C++ compiler (g++, c++) is found; pypolymlp, which tests and benchmarks" \
    "compare with, is built from source. Install g++ or set CXX." >&2
exit 1
