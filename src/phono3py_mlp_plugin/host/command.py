"""The host's commands: our options parsed, setup operations redirected, errors told."""

from __future__ import annotations

import argparse
import atexit
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from phono3py_mlp_plugin.errors import ParameterError, message_for_user
from phono3py_mlp_plugin.files import FolderLock, remove_dead_lock, sweep
from phono3py_mlp_plugin.host.arguments import (
    CommandOptions,
    add_options,
    give_file_back,
)
from phono3py_mlp_plugin.host.bindings import FORCE_FILES, original, replace
from phono3py_mlp_plugin.host.run import Run
from phono3py_mlp_plugin.supervision import supervise


def get_run_parser() -> tuple[argparse.ArgumentParser, list[str]]:
    """Stand for the host's function: its parser with our options and redirects."""
    sys.excepthook = _report_error
    if "" in sys.argv[1:]:
        place = sys.argv[1:].index("") + 1
        raise ParameterError(
            f"argument {place} is empty. Is a variable of your script not set?"
        )
    parser, deprecated = original("phono3py.cui.phono3py_argparse:get_run_parser")()
    add_options(parser)
    parser.parse_args = lambda args=None, namespace=None: _parse(
        parser, args, namespace
    )
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
    if args.use_pypolymlp or options.force_calculator or args.conf_filename:
        # Before the host starts threads that a forked process would lack.
        work_in_folder(Path())
    Run(phono3py_script, options).install()
    return args


def work_in_folder(folder: Path) -> None:
    """Go on in a watched process that has the folder for itself.

    Raises
    ------
    FolderInUse
        Another run works there.
    """

    def clean_up(process: int) -> None:
        sweep(folder, process)
        remove_dead_lock(folder)

    supervise(clean_up, lambda line: print(line, file=sys.stderr))
    lock = FolderLock(folder)
    atexit.register(lock.release)
    sweep(folder)


def _redirect_to_init(operation: str, *, quiet: bool) -> None:
    """Run the command as phono3py-init and leave."""
    from phono3py.cui import phono3py_script

    if not quiet:
        print(f"'{operation}' is a setup operation: running as phono3py-init.")
    replace([FORCE_FILES])
    phono3py_script.main(load_phono3py_yaml=False, mode="init")
    sys.exit(0)


def _report_error(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """Print our errors as one line; the interpreter then exits with 1."""
    if isinstance(error, BrokenPipeError | KeyboardInterrupt):
        # Whoever reads our output, or waits for it, has seen enough.
        return
    message = message_for_user(error)
    if message is None:
        sys.__excepthook__(kind, error, traceback)
        return
    sys.stdout.flush()
    print(f"ERROR: {message}", file=sys.stderr)
