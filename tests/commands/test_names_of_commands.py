"""phono3py-load is the former name of the command phono3py: both do the same."""

from __future__ import annotations

import argparse
import importlib
import sys

import h5py
import numpy as np
import pytest

from phono3py_mlp_plugin.host import command
from phono3py_mlp_plugin.host.arguments import CommandOptions, add_options
from phono3py_mlp_plugin.parallel import executors
from small_model import SMALL

NAMES = ("phono3py", "phono3py-load")

# Options whose values are checked before the run starts; others take any number.
VALUES = {
    "--executor": "dask=tcp://localhost:8786",
    "--force-calculator": "morse",
    "--force-calculator-options": "cutoff = 4",
    "--part": "2/3",
    "--scattering": "host",
    "--training-structures": "phono3py_params.yaml",
    "--mlp-file": "phono3py_params.yaml",
}


def added_options():
    """Return the options of this package with a value for each."""
    parser = argparse.ArgumentParser(add_help=False)
    add_options(parser)
    for action in parser._actions:
        if action.help == argparse.SUPPRESS:
            continue
        takes_none = action.nargs == 0
        for option in action.option_strings:
            yield [option] if takes_none else [option, VALUES.get(option, "2")]


def started(name, words, monkeypatch):
    """Return what a command would run: arguments of phono3py, and our options."""
    script = importlib.import_module(f"phono3py.scripts.{name.replace('-', '_')}")
    found = []

    def record(run, args, prepare):
        found.append((vars(args), run._options))
        raise SystemExit

    monkeypatch.setattr(sys, "argv", [name, *words])
    monkeypatch.setattr(command, "_run_and_exit", record)
    with pytest.raises(SystemExit):
        script.run()
    ((arguments, options),) = found
    assert isinstance(options, CommandOptions)
    return arguments, options


@pytest.mark.parametrize("option", [*added_options()], ids=lambda words: words[0])
def test_an_option_means_the_same_to_both(folder, monkeypatch, option):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(executors, "_is_installed", lambda package: True)
    words = ["phono3py_params.yaml", "--pypolymlp", "-d", "--br", *option]
    one, other = (started(name, words, monkeypatch) for name in NAMES)
    assert one == other
    plain = started(NAMES[0], words[: -len(option)], monkeypatch)
    assert one != plain, "the option has no effect"


@pytest.mark.slow
def test_both_give_the_same_numbers(folder, run, tmp_path_factory):
    words = ["phono3py_params.yaml", "--pypolymlp", "--mlp-params", SMALL, "--br"]
    words += ["--rd", "8", "--random-seed", "1", "--mesh", "3", "3", "3"]
    words += ["--ts", "300", "--no-error-budget"]
    found = []
    for name in NAMES:
        place = tmp_path_factory.mktemp(name)
        (place / "phono3py_params.yaml").symlink_to(folder / "phono3py_params.yaml")
        done = run([name, *words], place)
        assert done.returncode == 0, done.stderr
        is_old = "WARNING: 'phono3py-load' is deprecated" in done.stdout
        assert is_old == (name == "phono3py-load")
        content = {}
        for path in place.glob("*.hdf5"):
            with h5py.File(path) as file:
                content[path.name] = {key: file[key][()] for key in file}
        found.append(content)
    np.testing.assert_equal(*found)
