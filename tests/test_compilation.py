"""Compiled kernels are kept on disk, until any source that they depend on changes."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import phono3py_mlp_plugin.compilation

KERNELS = """
from kernels_of_a_test.records import {name}
from phono3py_mlp_plugin.compilation import kernel

@kernel
def difference(record):
    return record.first - record.second

found = difference({name}(first=5.0, second=2.0))
print(found, sum(difference.stats.cache_hits.values()))
"""
RECORDS = """
from typing import NamedTuple

class {name}(NamedTuple):
    {fields[0]}: float
    {fields[1]}: float
"""
USE = "import kernels_of_a_test.kernels"


def output_of(program):
    """Run a program in a process of its own."""
    # Bytecode of sources that were written in the same second must not be found.
    done = subprocess.run(
        [sys.executable, "-B", "-c", program],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Write a package of one kernel and its record; return a function that runs it."""
    folder = tmp_path / "kernels_of_a_test"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "0")

    def run(name="Pair", fields=("first", "second")):
        (folder / "kernels.py").write_text(KERNELS.format(name=name))
        (folder / "records.py").write_text(RECORDS.format(name=name, fields=fields))
        program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {USE}"
        return output_of(program).split()

    return run


def test_second_process_uses_what_the_first_compiled(package):
    assert package() == ["3.0", "0"]
    assert package() == ["3.0", "1"]


@pytest.mark.slow
def test_record_that_is_renamed_is_compiled_anew(package):
    package()
    assert package(name="Couple") == ["3.0", "0"]


def test_record_whose_fields_change_places_is_compiled_anew(package):
    package()
    assert package(fields=("second", "first")) == ["3.0", "0"]


SCATTERING = """
import sys; sys.path.insert(0, {folder!r})
import phono3py_mlp_plugin.scattering as scattering
assert scattering.__file__.startswith({folder!r})
scattering.warm_up()
from phono3py_mlp_plugin.scattering.strengths import contract_by_band
print(sum(contract_by_band.stats.cache_hits.values()))
"""


@pytest.mark.slow
def test_record_of_this_package_that_is_renamed_is_compiled_anew(tmp_path):
    own = Path(phono3py_mlp_plugin.compilation.__file__).parent
    shutil.copytree(
        own, tmp_path / own.name, ignore=shutil.ignore_patterns("__pycache__")
    )
    program = SCATTERING.format(folder=str(tmp_path))

    def hits():
        return int(output_of(program))

    assert hits() == 0
    assert hits() == 1
    for path in (tmp_path / own.name / "scattering").glob("*.py"):
        path.write_text(path.read_text().replace("Phonons", "Lattice"))
    assert hits() == 0
