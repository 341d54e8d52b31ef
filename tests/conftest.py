"""What all tests share: the host's data and its commands, with and without us."""

from __future__ import annotations

import importlib.util
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import pytest
from filelock import FileLock

from fork_server import AVAILABLE, SCRIPTS, ForkServer

TESTS = Path(__file__).resolve().parent
FETCH_DATA = TESTS.parent / "example" / "NaCl-pypolymlp" / "fetch_data.py"
HOST = TESTS / "host"
TIMEOUT = 600  # seconds

# Scripts and packages for processes of their own: not to be imported into this one.
collect_ignore = ["host"]
collect_ignore_glob = ["packages/*/*"]

Run = Callable[[Sequence[str], Path], subprocess.CompletedProcess[str]]
Made = TypeVar("Made")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add options of this suite.

    Commands can be run as users run them: slow, and nothing is shared. Tables of the
    documentation can be written instead of compared.
    """
    parser.addoption(
        "--real-processes",
        action="store_true",
        help="give every command a process of its own instead of forking it",
    )
    parser.addoption(
        "--write-tables",
        action="store_true",
        help="write the rows of docs/tables that are measured, instead of comparing",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Let commands be interrupted, and divide the processors among the workers.

    Threads are limited before workers are started, because numpy, which is imported
    in a worker, reads these variables only once.
    """
    # A shell that runs the tests in the background makes them ignore these signals,
    # and commands inherit this.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGQUIT"):
        signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    workers = getattr(config.option, "numprocesses", None)
    if workers:
        threads = str(max(1, (os.cpu_count() or 1) // int(workers)))
        for name in ("OMP", "OPENBLAS", "MKL", "RAYON", "NUMBA"):
            os.environ.setdefault(f"{name}_NUM_THREADS", threads)


_marked = False


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Remember whether the commands of this test get processes of their own."""
    global _marked
    _marked = item.get_closest_marker("real_process") is not None


def _finished(
    words: Sequence[str | Path], cwd: Path
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, cwd=cwd, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )


def once(
    tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Made]
) -> tuple[Made, Path]:
    """Return ``make(folder)`` and the folder, made by one of the workers for all."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder, made = base / name, base / f"{name}.made"
    with FileLock(base / f"{name}.lock"):
        if not made.exists():
            folder.mkdir(exist_ok=True)
            made.write_bytes(pickle.dumps(make(folder)))
    found: Made = pickle.loads(made.read_bytes())
    return found, folder


@pytest.fixture(scope="session")
def run_process() -> Run:
    """As `run`, always in a process: for what is made once and is a user's first."""

    def run_script(args: Sequence[str], cwd: Path) -> subprocess.CompletedProcess[str]:
        return _finished([SCRIPTS / args[0], *args[1:]], cwd)

    return run_script


@pytest.fixture(scope="session")
def _servers() -> Iterator[dict[bool, ForkServer]]:
    """Fork servers, with the plugin hidden (True) and not, started when asked for."""
    servers: dict[bool, ForkServer] = {}
    yield servers
    for server in servers.values():
        server.close()


@pytest.fixture(scope="session")
def fork_server(
    request: pytest.FixtureRequest, _servers: dict[bool, ForkServer]
) -> Callable[[bool], ForkServer | None]:
    """Ask for the server, with the plugin hidden or not; None: a process is needed."""
    wanted = AVAILABLE and not request.config.getoption("--real-processes")

    def server_for(plain: bool) -> ForkServer | None:
        if not wanted:
            return None
        if plain not in _servers:
            _servers[plain] = ForkServer(plain=plain)
        server = _servers[plain]
        return server if server.serves() else None

    return server_for


@pytest.fixture(scope="session")
def run(run_process: Run, fork_server: Callable[[bool], ForkServer | None]) -> Run:
    """Run a command of this environment: ``run(["phono3py-load", ...], folder)``.

    In a child of a warm interpreter where that can be done, and in a process where the
    test is marked by `real_process`.
    """

    def run_script(args: Sequence[str], cwd: Path) -> subprocess.CompletedProcess[str]:
        server = None if _marked else fork_server(False)
        if server is None:
            return run_process(args, cwd)
        return server.run([str(SCRIPTS / args[0]), *args[1:]], cwd, TIMEOUT)

    return run_script


@pytest.fixture(scope="session")
def run_plain(fork_server: Callable[[bool], ForkServer | None]) -> Run:
    """As `run`, a command of the host where no plugin is found."""

    def run_script(args: Sequence[str], cwd: Path) -> subprocess.CompletedProcess[str]:
        server = None if _marked else fork_server(True)
        if server is None:
            return _finished([sys.executable, HOST / "plain.py", *args], cwd)
        return server.run(args, cwd, TIMEOUT)

    return run_script


def _fetch_data() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fetch_data", FETCH_DATA)
    assert spec is not None and spec.loader is not None
    fetch_data = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fetch_data)
    return fetch_data


@pytest.fixture(scope="session")
def host_source() -> Path:
    """Folder of phono3py's source package, which holds the first-principles data."""
    folder: Path = _fetch_data().host_source()
    return folder


@pytest.fixture(scope="session")
def phonopy_source() -> Path:
    """Folder of phonopy's source package, with output files of many programs."""
    fetch_data = _fetch_data()
    try:
        folder: Path = fetch_data.host_source(fetch_data.PHONOPY)
    except fetch_data.FetchError as error:
        pytest.skip(str(error))
    return folder


@pytest.fixture(scope="session")
def nacl_params(host_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """phono3py_params.yaml of NaCl: 100 supercells of 64 atoms, Born charges."""
    published = host_source / "example" / "NaCl-rd" / "phono3py_params_NaCl.yaml.xz"

    def write(folder: Path) -> str:
        path = folder / "phono3py_params.yaml"
        made = _finished(
            [sys.executable, HOST / "nacl_params.py", published, path], folder
        )
        assert made.returncode == 0, made.stderr
        return path.name

    name, folder = once(tmp_path_factory, "NaCl", write)
    return folder / name


@pytest.fixture(scope="session")
def analytic_params(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """phono3py_params.yaml of NaCl by an analytic potential, with Born charges.

    A hundred supercells of 16 atoms, for what does not depend on the crystal.
    """

    def write(folder: Path) -> str:
        from analytic_crystal import analytic_crystal

        analytic_crystal().save(folder / "phono3py_params.yaml")
        return "phono3py_params.yaml"

    name, folder = once(tmp_path_factory, "analytic", write)
    return folder / name
