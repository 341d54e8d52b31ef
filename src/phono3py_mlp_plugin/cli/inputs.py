"""Files and options that several commands have in common."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from phono3py_mlp_plugin.errors import DatasetError
from phono3py_mlp_plugin.files import (
    HDF5_SUFFIXES,
    back_up,
    replacing,
    write_columnar,
)
from phono3py_mlp_plugin.workflow import CalculatorSpec, request_calculator

if TYPE_CHECKING:
    from phono3py import Phono3py

DISPLACEMENTS = "phono3py_disp.yaml"
PARAMS = "phono3py_params.yaml"
SUMMARY = "phono3py.yaml"


def first_of(names: Sequence[str], content: str) -> Path:
    """Return the first file that exists in the current folder.

    Parameters
    ----------
    names : sequence of str
    content : str
        What the file contains, used in the message.

    Raises
    ------
    DatasetError
        If there is none.
    """
    for name in names:
        if Path(name).is_file():
            return Path(name)
    raise DatasetError(
        f"none of {', '.join(names)} is found. Give the file with {content}."
    )


def write_dataset(crystal: Phono3py, path: Path) -> None:
    """Write a crystal with displacements and forces; keep an old file as ``.bak``.

    The file is HDF5 or YAML, according to its name.
    """
    from phono3py_mlp_plugin.host.reading import content_of_crystal

    with replacing(path) as temporary:
        if path.suffix in HDF5_SUFFIXES:
            write_columnar(content_of_crystal(crystal), temporary)
        else:
            options = {"force_sets": True, "displacements": True}
            crystal.save(temporary, settings=options)
        keep_old(path)


def keep_old(path: Path) -> None:
    """Keep a file that is going to be replaced as ``.bak``."""
    if path.is_file():
        print(f'The old "{path}" is kept as "{back_up(path)}".')


def add_calculator_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that name a force calculator."""
    parser.add_argument(
        "--force-calculator",
        required=True,
        metavar="NAME",
        help="name of the force calculator; phono3py-mlp plugins lists them",
    )
    parser.add_argument(
        "--force-calculator-options",
        metavar='"key = value, ..."',
        help="its options, or @FILE.yaml",
    )
    parser.add_argument(
        "--mlp-file", metavar="FILE", type=Path, help="its file, if it has one"
    )


def requested_calculator(args: argparse.Namespace) -> CalculatorSpec:
    """Return the force calculator that the options name.

    Raises
    ------
    PluginNotFound, ParameterError
        See `request_calculator`.
    """
    return request_calculator(
        args.force_calculator,
        args.force_calculator_options,
        "--force-calculator-options",
    )
