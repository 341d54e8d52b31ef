"""``phono3py-mlp doctor``: check the installation and the bindings to phono3py."""

from __future__ import annotations

import argparse
from typing import Any

from phono3py_mlp_plugin.api.installation import compile_kernels, doctor
from phono3py_mlp_plugin.cli.parser import example
from phono3py_mlp_plugin.wording import duration


def add_doctor(commands: Any) -> None:
    """Add ``doctor`` to the commands."""
    parser = commands.add_parser(
        "doctor",
        help="check the installation and the bindings to phono3py",
        description="Say whether phono3py uses this package, and if not, why. The exit "
        "code is then 1.",
        epilog=example("phono3py-mlp doctor"),
    )
    parser.add_argument(
        "--warm-up",
        action="store_true",
        help="compile all kernels before the first run",
    )
    parser.set_defaults(run=_doctor)


def _doctor(args: argparse.Namespace) -> int:
    installation = doctor()
    print(installation)
    if args.warm_up and installation.is_active:
        print(f"Kernels: ready in {duration(compile_kernels())}")
    return 0 if installation.is_active else 1
