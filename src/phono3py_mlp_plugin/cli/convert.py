"""``phono3py-mlp convert``: datasets between YAML and HDF5."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from phono3py_mlp_plugin.cli.inputs import keep_old
from phono3py_mlp_plugin.cli.parser import example
from phono3py_mlp_plugin.errors import DatasetError, ParameterError
from phono3py_mlp_plugin.files import (
    HDF5_SUFFIXES,
    format_yaml,
    replacing,
    write_columnar,
)

_YAML_SUFFIXES = (".yaml", ".yml")


def add_convert(commands: Any) -> None:
    """Add ``convert`` to the commands."""
    parser = commands.add_parser(
        "convert",
        help="a dataset from YAML to HDF5, and back",
        description="Write a phono3py.yaml-like file with displacements and forces in "
        "HDF5, which is read a hundred times faster, or such a file in YAML. All "
        "commands read both; the numbers are the same.",
        epilog=example("phono3py-mlp convert phono3py_params.yaml"),
    )
    parser.add_argument("source", metavar="FILE", type=Path, help="YAML or HDF5")
    parser.add_argument(
        "target",
        metavar="OUTPUT",
        type=Path,
        nargs="?",
        help="name ending in .yaml, .h5 or .hdf5 (default: FILE with the other ending)",
    )
    parser.set_defaults(run=_convert)


def _convert(args: argparse.Namespace) -> int:
    from phono3py_mlp_plugin.host.output import progress
    from phono3py_mlp_plugin.host.reading import read_content

    target = args.target or _default_target(args.source)
    if target.suffix not in (*HDF5_SUFFIXES, *_YAML_SUFFIXES):
        raise ParameterError(
            f'"{target}": expected a name ending in .yaml, .h5 or .hdf5.'
        )
    if target.exists() and target.samefile(args.source):
        raise ParameterError(f'"{target}": is the input. Give another name.')
    with progress(1)(f"Reading {args.source}", None):
        content = read_content(args.source)
    with progress(1)(f"Writing {target}", None), replacing(target) as temporary:
        if target.suffix in HDF5_SUFFIXES:
            write_columnar(content, temporary)
        else:
            temporary.write_text(format_yaml(content), encoding="utf-8")
        keep_old(target, temporary)
    size = target.stat().st_size / 1e6
    print(f'"{target}" was written ({size:.1f} MB).')
    return 0


def _default_target(source: Path) -> Path:
    plain = source
    while plain.suffix and plain.suffix not in (*HDF5_SUFFIXES, *_YAML_SUFFIXES):
        plain = plain.with_suffix("")
    if not plain.suffix:
        if not source.exists():
            raise DatasetError(f'"{source}" is not found.')
        raise ParameterError(
            f'"{source}": give a name for the output, ending in .yaml or .h5.'
        )
    return plain.with_suffix(".yaml" if plain.suffix in HDF5_SUFFIXES else ".h5")
