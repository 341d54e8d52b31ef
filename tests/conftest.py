"""What all tests share: the host's data and its commands, with and without us."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
FETCH_DATA = TESTS.parent / "example" / "NaCl-pypolymlp" / "fetch_data.py"
HOST = TESTS / "host"
SCRIPTS = Path(sys.executable).parent
TIMEOUT = 600  # seconds

# Scripts and packages for processes of their own: not to be imported into this one.
collect_ignore = ["host"]
collect_ignore_glob = ["packages/*/*"]

Run = Callable[[Sequence[str], Path], subprocess.CompletedProcess[str]]


def _finished(
    words: Sequence[str | Path], cwd: Path
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, cwd=cwd, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )


@pytest.fixture(scope="session")
def run() -> Run:
    """Run a command of this environment: ``run(["phono3py-load", ...], folder)``."""

    def run_script(args: Sequence[str], cwd: Path) -> subprocess.CompletedProcess[str]:
        return _finished([SCRIPTS / args[0], *args[1:]], cwd)

    return run_script


@pytest.fixture(scope="session")
def run_plain() -> Run:
    """As `run`, a command of the host in a process where no plugin is found."""

    def run_script(args: Sequence[str], cwd: Path) -> subprocess.CompletedProcess[str]:
        return _finished([sys.executable, HOST / "plain.py", *args], cwd)

    return run_script


@pytest.fixture(scope="session")
def host_source() -> Path:
    """Folder of phono3py's source package, which holds the first-principles data."""
    spec = importlib.util.spec_from_file_location("fetch_data", FETCH_DATA)
    assert spec is not None and spec.loader is not None
    fetch_data = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fetch_data)
    folder: Path = fetch_data.host_source()
    return folder


@pytest.fixture(scope="session")
def nacl_params(host_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """phono3py_params.yaml of NaCl: 100 supercells of 64 atoms, Born charges."""
    published = host_source / "example" / "NaCl-rd" / "phono3py_params_NaCl.yaml.xz"
    path = tmp_path_factory.mktemp("NaCl") / "phono3py_params.yaml"
    made = _finished(
        [sys.executable, HOST / "nacl_params.py", published, path], path.parent
    )
    assert made.returncode == 0, made.stderr
    return path
