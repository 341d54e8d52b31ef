"""The host's commands: our options parsed, setup operations redirected, errors told."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from types import TracebackType

from phono3py_mlp_plugin.errors import MLPError
from phono3py_mlp_plugin.host.arguments import (
    CommandOptions,
    add_options,
    give_file_back,
)
from phono3py_mlp_plugin.host.bindings import original
from phono3py_mlp_plugin.host.run import Run


def get_run_parser() -> tuple[argparse.ArgumentParser, list[str]]:
    """Stand for the host's function: its parser with our options and redirects."""
    parser, deprecated = original("phono3py.cui.phono3py_argparse:get_run_parser")()
    add_options(parser)
    parser.parse_args = lambda args=None, namespace=None: _parse(
        parser, args, namespace
    )
    sys.excepthook = _report_error
    return parser, deprecated


def _parse(
    parser: argparse.ArgumentParser,
    arguments: Sequence[str] | None,
    namespace: argparse.Namespace | None,
) -> argparse.Namespace:
    """Parse, then redirect setup operations or prepare the run."""
    args, unknown = parser.parse_known_args(arguments, namespace)
    operation = getattr(args, "setup_operation", None)
    if operation is not None:
        _redirect_to_init(operation, quiet=bool(args.quiet))
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    give_file_back(parser, args)

    from phono3py.cui import phono3py_script

    names = CommandOptions.__dataclass_fields__
    options = CommandOptions(**{name: args.__dict__.pop(name) for name in names})
    Run(phono3py_script, options).install()
    return args


def _redirect_to_init(operation: str, *, quiet: bool) -> None:
    """Run the command as phono3py-init and leave."""
    from phono3py.cui import phono3py_script

    if not quiet:
        print(f"'{operation}' is a setup operation: running as phono3py-init.")
    phono3py_script.main(load_phono3py_yaml=False, mode="init")
    sys.exit(0)


def _report_error(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """Print our errors as one line; the interpreter then exits with 1."""
    if isinstance(error, MLPError):
        sys.stdout.flush()
        print(f"ERROR: {error}", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, traceback)
