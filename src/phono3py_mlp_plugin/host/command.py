"""The commands of phono3py: parsing options, redirecting setup operations, errors."""

from __future__ import annotations

import argparse
import atexit
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import NoReturn

from phono3py_mlp_plugin.errors import ParameterError, message_for_user
from phono3py_mlp_plugin.files import (
    FolderLock,
    check_inputs,
    remove_dead_lock,
    remove_unfinished,
)
from phono3py_mlp_plugin.host.arguments import (
    CommandOptions,
    add_options,
    exit_with_error,
    restore_filename,
)
from phono3py_mlp_plugin.host.bindings import FORCE_FILES, original, replace, restore
from phono3py_mlp_plugin.host.boundary import run_to_end
from phono3py_mlp_plugin.host.process import (
    end_command,
    has_run_command,
    put,
    when_command_ends,
)
from phono3py_mlp_plugin.host.run import Run, TakesOver
from phono3py_mlp_plugin.parallel import ExecutorSpec, Part
from phono3py_mlp_plugin.supervision import supervise

# The parsed arguments while `_run_and_exit` runs the main function of phono3py, which
# calls the parser again.
_parsed: argparse.Namespace | None = None

# Whether no other command has run in this process before.
_is_first = True

# The solvers that phono3py implements; others are run by this package.
_HOST_SOLVERS = ("traditional", "symfc", "alm")


def get_run_parser() -> tuple[argparse.ArgumentParser, list[str]]:
    """Return the parser of phono3py with the options of this package."""
    if _parsed is None:
        # phono3py has no place for this at every end of a command without potential.
        end_command()
        global _is_first
        _is_first = not has_run_command()
        put(sys, "excepthook", _report_error)
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
    """Parse arguments, then redirect setup operations or prepare the run."""
    if _parsed is not None:
        return _parsed
    if _requests_potential(sys.argv[1:] if arguments is None else arguments):
        parser.error = lambda message: exit_with_error(parser, message)  # type: ignore[method-assign]
    args, unknown = parser.parse_known_args(arguments, namespace)
    operation = getattr(args, "setup_operation", None)
    if operation is not None:
        _redirect_to_init(operation, quiet=bool(args.quiet))
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    restore_filename(parser, args)
    check_inputs(Path(), vars(args).values())

    from phono3py.cui import phono3py_script

    options = _take_options(args)
    run = Run(phono3py_script, options)
    if (
        args.use_pypolymlp
        or options.force_calculator
        or args.conf_filename
        or _names_plugin(args.fc_calculator)
    ):
        # Fork before phono3py starts threads, which a forked process would not have. A
        # process in which Python has called a command before may have them.
        shared = Part.is_shared(options.part)
        prepare = partial(work_in_folder, Path(), watched=_is_first, shared=shared)
        _run_and_exit(run, args, prepare)
    if options.scattering == "fft":
        # Not locked: several runs in a folder may compute different grid points.
        _run_and_exit(run, args, lambda: None)
    run.install()
    return args


def study_parser(command: str, description: str) -> argparse.ArgumentParser:
    """Return the parser of phono3py for a command of this package."""
    parser: argparse.ArgumentParser
    parser, _ = original("phono3py.cui.phono3py_argparse:get_run_parser")()
    add_options(parser)
    parser.prog, parser.description = command, description
    parser.error = lambda message: exit_with_error(parser, message)  # type: ignore[method-assign]
    return parser


def run_study(
    parser: argparse.ArgumentParser,
    args: argparse.Namespace,
    study: TakesOver,
    *,
    watched: bool,
    kept: Callable[[Path], str] = lambda folder: "",
) -> int:
    """Run phono3py with a study, or something else, in the place of kappa.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        The parser of `study_parser`, with further options.
    args : argparse.Namespace
        The parsed arguments.
    study : TakesOver
        What takes the place of the calculation of kappa.
    watched, kept
        See `work_in_folder`.

    Returns
    -------
    int
        The exit code.

    Raises
    ------
    ParameterError
        If a setup operation of phono3py-init is requested.
    """
    from phono3py.cui import phono3py_script

    operation = getattr(args, "setup_operation", None)
    if operation is not None:
        raise ParameterError(
            f"'{operation}' is a setup operation of phono3py-init, not of "
            f"{parser.prog}."
        )
    restore_filename(parser, args)
    check_inputs(Path(), vars(args).values())
    options = _take_options(args)
    work_in_folder(
        Path(),
        kept,
        watched=watched,
        shared=Part.is_shared(options.part),
    )
    if options.force_calculator is None:
        args.use_pypolymlp = True
    args.log_level = 0
    Run(phono3py_script, options, study).install()
    phono3py_script.main(load_phono3py_yaml=True, mode="run", args=args)
    return 0


def _take_options(args: argparse.Namespace) -> CommandOptions:
    """Remove the options of this package from ``args`` and return them.

    Raises
    ------
    ParameterError, PluginNotFound
        If it is not possible to compute where they say.
    """
    names = CommandOptions.__dataclass_fields__
    options = CommandOptions(**{name: args.__dict__.pop(name) for name in names})
    ExecutorSpec.parse(options.jobs, options.executor)
    Part.option(options.part)
    return options


def _run_and_exit(
    run: Run, args: argparse.Namespace, prepare: Callable[[], None]
) -> NoReturn:
    """Run the main function of phono3py, report any error, and exit."""
    from phono3py.cui import phono3py_script

    def work() -> int:
        global _parsed
        prepare()
        run.install()
        _parsed = args
        try:
            phono3py_script.main(load_phono3py_yaml=True, mode="run")
        finally:
            _parsed = None
        return 0

    sys.exit(run_to_end(work, verbose=bool(args.verbose)))


def _requests_potential(arguments: Sequence[str]) -> bool:
    # argparse accepts abbreviations.
    return any(word.startswith(("--py", "--force-calc")) for word in arguments)


def _names_plugin(fc_calculator: str | None) -> bool:
    names = (fc_calculator or "").lower().split("|")
    return any(name.strip() not in ("", *_HOST_SOLVERS) for name in names)


def work_in_folder(
    folder: Path,
    kept: Callable[[Path], str] = lambda folder: "",
    *,
    watched: bool = True,
    shared: bool = False,
) -> None:
    """Continue in a supervised process that has locked the folder.

    Parameters
    ----------
    folder : Path
    kept : callable
        Returns what is kept of a run that was stopped by a signal, for example
        "3 points are kept", or an empty string.
    watched : bool
        Run in a separate process; False for calls from Python.
    shared : bool
        See `FolderLock`.

    Raises
    ------
    FolderInUse
        If another run uses the folder.
    """
    # A plugin may change the working directory.
    folder = folder.absolute()

    def clean_up(process: int) -> None:
        remove_unfinished(folder, process)
        remove_dead_lock(folder)

    if watched:
        supervise(
            clean_up,
            lambda line: print(line, file=sys.stderr),
            lambda: kept(folder),
        )
    lock = FolderLock(folder, shared=shared)
    atexit.register(lock.release)
    when_command_ends(lock.release)
    remove_unfinished(folder)


def _redirect_to_init(operation: str, *, quiet: bool) -> None:
    """Run the command as phono3py-init and exit."""
    from phono3py.cui import phono3py_script

    if not quiet:
        print(f"'{operation}' is a setup operation: running as phono3py-init.")
    replace([FORCE_FILES])
    when_command_ends(partial(restore, [FORCE_FILES]))
    phono3py_script.main(load_phono3py_yaml=False, mode="init")
    sys.exit(0)


def _report_error(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """Print an error of this package on one line; the exit code is then 1."""
    if isinstance(error, BrokenPipeError | KeyboardInterrupt):
        # The pipe was closed, or the user interrupted the command.
        return
    message = message_for_user(error)
    if message is None:
        sys.__excepthook__(kind, error, traceback)
        return
    sys.stdout.flush()
    print(f"ERROR: {message}", file=sys.stderr)
