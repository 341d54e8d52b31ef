"""Files and options that several commands have in common."""

from __future__ import annotations

import argparse
import filecmp
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from phono3py_mlp_plugin.errors import DatasetError, ParameterError
from phono3py_mlp_plugin.files import back_up, replacing
from phono3py_mlp_plugin.workflow import CalculatorSpec, request_calculator

if TYPE_CHECKING:
    from phono3py import Phono3py

_T = TypeVar("_T")

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
    """Write a crystal with displacements and forces; keep another one as ``.bak``.

    The file is HDF5 or YAML, according to its name.
    """
    from phono3py_mlp_plugin.api.datasets import write_crystal

    with replacing(path) as temporary:
        write_crystal(crystal, path, temporary)
        keep_old(path, temporary, log_level)


def keep_old(path: Path, new: Path, log_level: int = 1) -> None:
    """Keep a file as ``.bak`` if a new file of other content is going to replace it."""
    if path.is_file() and not filecmp.cmp(path, new, shallow=False):
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
    remedy = "Give the first model of the run"
    where = "--force-calculator-options"
    text = only_value(where, args.force_calculator_options, remedy)
    file = only_value("--mlp-file", args.mlp_file, remedy)
    return request_calculator(args.force_calculator, text, where), file


def only_value(option: str, values: Sequence[_T] | None, remedy: str) -> _T | None:
    """Return the value of an option that may be given once here, None without it.

    Raises
    ------
    ParameterError
        If it is given several times, as the models of a run are.
    """
    if values is not None and len(values) > 1:
        raise ParameterError(
            f"{option} is given {len(values)} times; expected once, for one model. "
            f"{remedy}."
        )
    return values[0] if values else None
