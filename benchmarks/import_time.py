"""Measure how much slower ``import phono3py`` is with this package installed.

    python benchmarks/import_time.py [ROUNDS]

The two kinds of processes alternate, and the ratio of the medians is printed. Without
the plugin, phono3py searches for entry points as usual, and finds none.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

WITH = "import phono3py"
WITHOUT = (
    "import importlib.metadata as m; look_up = m.entry_points; "
    "m.entry_points = lambda **k: (look_up(**k), m.EntryPoints(()))[1]; "
    "import phono3py"
)


def seconds(program: str) -> float:
    """Return the wall time of one process."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True)
    return time.perf_counter() - start


def main() -> None:
    """Print the medians and their ratio."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 21
    times: dict[str, list[float]] = {WITH: [], WITHOUT: []}
    for program in times:
        seconds(program)  # load files into the cache
    for _ in range(rounds):
        for program, results in times.items():
            results.append(seconds(program))
    with_plugin, without = (statistics.median(results) for results in times.values())
    print(f"with the plugin    {with_plugin:.3f} s (median of {rounds})")
    print(f"without            {without:.3f} s")
    print(f"ratio              {with_plugin / without:.3f}")


if __name__ == "__main__":
    main()
