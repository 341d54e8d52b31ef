#!/usr/bin/env bash
# Run the tests of the commands with the oldest and with the newest phono3py, each with the
# other requirements of that time, in environments of their own that are kept.
# usage: tools/test_hosts.sh PYTHON [WORKERS [TEST ...]]
# Without tests, all of the commands and of the bindings are run that are not slow.
# HOSTS="oldest newest" selects the constraints, files of tools/constraints.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=${1:?usage: tools/test_hosts.sh PYTHON [WORKERS [TEST ...]]}
workers=${2:-2}
tests=("${@:3}")
[ ${#tests[@]} -gt 0 ] || tests=(tests/commands tests/host_bridge)

failed=""
for host in ${HOSTS:-oldest newest}; do
    environment=.venv-hosts/$host
    bin=$environment/bin
    constraints=tools/constraints/$host.txt
    if [ ! -f "$constraints" ]; then
        echo "ERROR: HOSTS: $host; expected oldest or newest." >&2
        exit 1
    fi
    echo "$host: installing into $environment"
    [ -x "$bin/python" ] || "$python" -m venv "$environment" || exit 1
    "$bin/python" -m pip install --quiet --no-compile --upgrade \
        --upgrade-strategy eager --constraint "$constraints" --editable ".[test,ase]" || {
        echo "ERROR: $host: the requirements cannot be installed." >&2
        exit 1
    }
    # Commands are those of this environment, not of one that is active.
    PATH="$PWD/$bin:$PATH" "$bin/phono3py-mlp" doctor &&
        PATH="$PWD/$bin:$PATH" "$bin/python" -m pytest -n "$workers" --dist loadscope \
            --no-loadscope-reorder -m "not slow" "${tests[@]}" || failed+=" $host"
done
if [ -n "$failed" ]; then
    echo "ERROR: tests failed with the host:$failed." >&2
    exit 1
fi
