"""Run the host's own tests without and with this package and compare the outcomes.

    python tests/host/compare.py

Ends with 1 where a test has another outcome with the plugin, or none was run.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

HERE = Path(__file__).resolve().parent
FETCH_DATA = HERE.parents[1] / "example" / "NaCl-pypolymlp" / "fetch_data.py"
TESTS = (
    "test/cui/test_phono3py_load_script.py",
    "test/api/test_api_phono3py.py",
    "test/interface",
)
SCATTERING_TESTS = ("test/conductivity", "test/phonon3")
WITHOUT_PLUGIN = ("-p", "plain")
WITH_FAST_SCATTERING = ("-p", "fast")


def load_fetch_data() -> ModuleType:
    """Import the example's fetch_data.py, which is in no package."""
    spec = importlib.util.spec_from_file_location("fetch_data", FETCH_DATA)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def copy_of_tests(source: Path, folder: Path) -> Path:
    """Copy the tests alone: beside their package they would test that, unbuilt."""
    tree = folder / "host"
    shutil.copytree(source / "test", tree / "test")
    (tree / "pytest.ini").write_text("[pytest]\n")
    return tree


def outcomes(
    tree: Path,
    report: Path,
    options: tuple[str, ...] = (),
    tests: tuple[str, ...] = TESTS,
) -> dict[str, str]:
    """Run the tests; return the outcome of each, by its name."""
    command = [
        *(sys.executable, "-m", "pytest", *tests, *options, "-q"),
        *("-p", "no:cacheprovider", "-c", "pytest.ini", "--rootdir", "."),
        *("-W", "ignore", f"--junit-xml={report}"),
    ]
    # What the caller tests stays in the path: it may not be what is installed.
    path = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path}
    finished = subprocess.run(command, cwd=tree, env=environment, check=False)
    if not report.exists():
        raise SystemExit(f"ERROR: pytest ended with {finished.returncode}, no report.")
    return read_report(report)


def read_report(report: Path) -> dict[str, str]:
    """Return the outcome of each test in a JUnit report."""
    found = {}
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        worse = {child.tag for child in case} & {"failure", "error", "skipped"}
        name = f"{case.get('classname')}::{case.get('name')}"
        found[name] = "+".join(sorted(worse)) or "passed"
    return found


def summary(title: str, found: dict[str, str], seconds: float) -> str:
    """Return one line of counts."""
    counts = ", ".join(
        f"{n} {name}" for name, n in sorted(Counter(found.values()).items())
    )
    return f"{title}: {counts or 'nothing'} in {seconds:.0f} s"


def differences(plain: dict[str, str], plugged: dict[str, str]) -> list[str]:
    """Return one line for each test whose outcome the plugin changes."""
    return [
        f"{name}: {plain.get(name, 'not run')} without the plugin, "
        f"{plugged.get(name, 'not run')} with it"
        for name in sorted(plain.keys() | plugged.keys())
        if plain.get(name) != plugged.get(name)
    ]


def compare(
    tests: tuple[str, ...], runs: dict[str, tuple[str, ...]]
) -> tuple[list[str], bool]:
    """Run tests in two ways; return both counts with what differs, and if any does."""
    source = load_fetch_data().host_source()
    found, lines = [], []
    for title, options in runs.items():
        print(f"Host's tests, {title}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            started = time.monotonic()
            tree = copy_of_tests(source, Path(folder))
            found.append(outcomes(tree, Path(folder) / "report.xml", options, tests))
            lines.append(summary(title, found[-1], time.monotonic() - started))
    changed = differences(*found)
    return [*lines, *changed], bool(changed or not found[0])


def main() -> int:
    """Run all comparisons, print the counts and what differs."""
    comparisons = [
        compare(TESTS, {"without the plugin": WITHOUT_PLUGIN, "with the plugin": ()}),
        compare(
            SCATTERING_TESTS,
            {
                "scattering without the plugin": WITHOUT_PLUGIN,
                "scattering by Fourier transform": WITH_FAST_SCATTERING,
            },
        ),
    ]
    for lines, _ in comparisons:
        print(*lines, sep="\n")
    return 1 if any(differs for _, differs in comparisons) else 0


if __name__ == "__main__":
    sys.exit(main())
