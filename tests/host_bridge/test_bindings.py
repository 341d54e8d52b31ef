"""The bridge: bound as a whole or not at all, and nothing swallowed."""

import subprocess
import sys

import pytest

from phono3py_mlp_plugin.errors import IncompatibleHost
from phono3py_mlp_plugin.host import bindings, is_bound
from phono3py_mlp_plugin.host.bindings import BINDINGS, Binding, check

SPOIL = (
    "import phonopy.cui.load_helper as helper\n"
    "helper.develop_or_load_pypolymlp = lambda phonon: None\n"
)


def python(program, *argv):
    return subprocess.run(
        [sys.executable, "-c", program, *argv], capture_output=True, text=True
    )


def test_bound_when_phono3py_is_imported():
    import phono3py

    assert is_bound()
    assert phono3py.Phono3py is not None
    for binding in BINDINGS:
        assert hasattr(check(binding), "__wrapped__")


@pytest.mark.parametrize("binding", bindings(), ids=str)
def test_signatures_of_this_host_are_those_expected(binding):
    check(binding)


def test_missing_name_is_told_with_the_version_of_the_host():
    binding = Binding("phono3py.file_IO", "no_such_function", (), "")
    with pytest.raises(
        IncompatibleHost,
        match=r"phono3py \S+ has no phono3py.file_IO:no_such_function",
    ):
        check(binding)


def test_library_users_are_warned():
    done = python(SPOIL + "import phono3py; print(phono3py.__version__)")
    assert done.returncode == 0
    assert "RuntimeWarning: phono3py-mlp-plugin is not active" in done.stderr


def test_nothing_is_bound_where_one_name_does_not_fit():
    program = (
        "import phono3py.interface.fc_calculator as fc\n"
        "print(hasattr(fc.extract_fc2_fc3_calculators, '__wrapped__'))\n"
    )
    assert python(SPOIL + program).stdout == "False\n"
    assert python(program).stdout == "True\n"


@pytest.mark.parametrize("option", ["--pypolymlp", "--force-calculator=ase"])
def test_command_that_needs_the_plugin_is_ended(option):
    program = SPOIL + (
        "import sys\nsys.argv[0] = '/somewhere/phono3py-load'\n"
        "from phono3py.scripts.phono3py_load import run\nrun()\n"
    )
    done = python(program, option, "phono3py.yaml")
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("ERROR: phono3py-mlp-plugin is not active: ")
    assert "expected (phonon, mlp_params, mlp_filename, log_level)" in line


def test_command_that_does_not_need_it_goes_on_with_a_warning():
    program = SPOIL + (
        "import sys\nsys.argv[0] = 'phono3py-load'\n"
        "from phono3py.scripts.phono3py_load import run\nrun()\n"
    )
    done = python(program, "--version-of-nothing")
    assert done.returncode == 2
    assert "RuntimeWarning: phono3py-mlp-plugin is not active" in done.stderr
