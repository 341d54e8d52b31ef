"""Systems other than Linux lack names, and the package runs without them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from phono3py_mlp_plugin import operating_system
from phono3py_mlp_plugin.files.regular import largest_text
from phono3py_mlp_plugin.operating_system import open_flags, physical_memory
from phono3py_mlp_plugin.polynomial.memory import available_memory

TESTS = Path(__file__).parent

START = """
import sys
from other_systems import import_all, pretend
pretend(sys.argv[1])
import phono3py
from pathlib import Path
from phono3py_mlp_plugin.host.bindings import is_bound
assert is_bound()
"""

COMMANDS = """
assert import_all() > 200
from phono3py_mlp_plugin.cli import main
from phono3py_mlp_plugin.files import FolderLock, remove_dead_lock, replacing
from phono3py_mlp_plugin.files.regular import open_text
lock = FolderLock(Path())
lock.release()
with replacing(Path("text")) as temporary:
    temporary.write_bytes(b"one\\r\\ntwo\\x1a")
with open_text(Path("text")) as file:
    print(file.read().encode())
Path("text").unlink()
remove_dead_lock(Path())
assert not list(Path().iterdir())
sys.exit(main(["plugins"]))
"""

RUN = """
from analytic_crystal import analytic_crystal
from small_model import SMALL
from phono3py.scripts.phono3py_load import run
analytic_crystal().save("phono3py_params.yaml")
words = ["phono3py-load", "phono3py_params.yaml", "--pypolymlp", "--br", "--mesh"]
words += ["3", "3", "3", "--ts", "300", "--mlp-params", SMALL, "--uncertainty", "2"]
# On Windows, the library starts processes in a way that cannot be tried here.
sys.argv = words + (["--jobs", "2"] if sys.argv[1] == "darwin" else [])
run()
"""


def on(system, program, folder):
    path = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, "-c", START + program, system],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_every_module_is_imported_and_commands_run_on_other_systems(system, tmp_path):
    done = on(system, COMMANDS, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "pypolymlp" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_kappa_with_error_bar_is_computed_on_other_systems(system, tmp_path):
    done = on(system, RUN, tmp_path)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.glob("kappa-m333.hdf5"))
    assert not list(tmp_path.glob(".phono3py*"))


def no_such_name(name):
    raise ValueError("unrecognized configuration name")


@pytest.mark.parametrize("known", [True, False])
def test_memory_of_a_machine_that_does_not_tell_it_limits_nothing(known, monkeypatch):
    if known:
        assert physical_memory() == os.sysconf("SC_PAGE_SIZE") * os.sysconf(
            "SC_PHYS_PAGES"
        )
        return
    monkeypatch.setattr(operating_system.os, "sysconf", no_such_name)
    assert physical_memory() is None
    assert largest_text() == 2_000_000_000
    assert available_memory() > 0


def test_flags_that_a_system_lacks_are_left_out(monkeypatch):
    assert open_flags("O_RDWR", "O_NOFOLLOW") == os.O_RDWR | os.O_NOFOLLOW
    monkeypatch.delattr(os, "O_NOFOLLOW")
    assert open_flags("O_RDWR", "O_NOFOLLOW") == os.O_RDWR
    # On Windows, text would be converted.
    monkeypatch.setattr(os, "O_BINARY", 1 << 30, raising=False)
    assert open_flags("O_RDWR") == os.O_RDWR | 1 << 30
