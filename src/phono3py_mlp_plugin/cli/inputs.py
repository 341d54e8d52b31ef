"""Files and options that several commands have in common."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from phono3py_mlp_plugin.errors import DatasetError, ParameterError
from phono3py_mlp_plugin.files import back_up, replacing
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


def write_dataset(crystal: Phono3py, path: Path, log_level: int = 1) -> None:
    """Write a crystal with displacements and forces; keep an old file as ``.bak``.

    The file is HDF5 or YAML, according to its name.
    """
    from phono3py_mlp_plugin.api.datasets import write_crystal

    with replacing(path) as temporary:
        write_crystal(crystal, path, temporary)
        keep_old(path, log_level)


def keep_old(path: Path, log_level: int = 1) -> None:
    """Keep a file that is going to be replaced as ``.bak``."""
    if path.is_file():
        kept = back_up(path)
        if log_level:
            print(f'The old "{path}" is kept as "{kept}".')


def add_calculator_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that name a force calculator."""
    parser.add_argument(
        "--force-calculator",
        required=True,
        metavar="NAME",
        help="name of the force calculator; phono3py-mlp plugins lists them",
    )
    add_model_options(parser)


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """Add the option that leaves out all output except errors."""
    parser.add_argument("-q", "--quiet", action="store_true", help="print errors only")


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a model of a force calculator."""
    parser.add_argument(
        "--force-calculator-options",
        metavar='"key = value, ..."',
        action="append",
        help="its options, or @FILE.yaml",
    )
    parser.add_argument(
        "--mlp-file",
        metavar="FILE",
        type=Path,
        action="append",
        help="its file, if it has one",
    )


def requested_calculator(
    args: argparse.Namespace,
) -> tuple[CalculatorSpec, Path | None]:
    """Return the force calculator that the options name, and its file.

    Raises
    ------
    PluginNotFound, ParameterError
        See `request_calculator`. Also if there are several models.
    """
    for option, values in (
        ("--force-calculator-options", args.force_calculator_options),
        ("--mlp-file", args.mlp_file),
    ):
        if values is not None and len(values) > 1:
            raise ParameterError(
                f"{option} is given {len(values)} times; expected one model here. Give "
                "the first one of the run."
            )
    text, *_ = args.force_calculator_options or [None]
    file, *_ = args.mlp_file or [None]
    where = "--force-calculator-options"
    return request_calculator(args.force_calculator, text, where), file
