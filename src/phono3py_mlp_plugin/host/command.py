"""The host's commands: our options parsed, setup operations redirected, errors told."""

from __future__ import annotations

import argparse
import atexit
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import NoReturn

from phono3py_mlp_plugin.convergence import (
    describe_saved_study,
)
from phono3py_mlp_plugin.errors import ParameterError, message_for_user
from phono3py_mlp_plugin.files import (
    FolderLock,
    check_inputs,
    remove_dead_lock,
    sweep,
)
from phono3py_mlp_plugin.host.arguments import (
    CommandOptions,
    add_options,
    give_file_back,
)
from phono3py_mlp_plugin.host.bindings import FORCE_FILES, original, replace
from phono3py_mlp_plugin.host.boundary import run_to_end
from phono3py_mlp_plugin.host.run import Run
from phono3py_mlp_plugin.host.study import StudyRun
from phono3py_mlp_plugin.supervision import supervise

# What was parsed, while the host's main function runs within `_run_to_end`: it asks
# for the parser once more.
_parsed: argparse.Namespace | None = None

# The solvers that the host has code for: others are run by this package.
_OF_HOST = ("traditional", "symfc", "alm")


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
    if _parsed is not None:
        return _parsed
    if _asks_for_potential(sys.argv[1:] if arguments is None else arguments):
        parser.error = lambda message: _refuse(parser, message)  # type: ignore[method-assign]
    args, unknown = parser.parse_known_args(arguments, namespace)
    operation = getattr(args, "setup_operation", None)
    if operation is not None:
        _redirect_to_init(operation, quiet=bool(args.quiet))
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    give_file_back(parser, args)
    check_inputs(Path(), vars(args).values())

    from phono3py.cui import phono3py_script

    options = _options_of(args)
    run = Run(phono3py_script, options)
    if (
        args.use_pypolymlp
        or options.force_calculator
        or args.conf_filename
        or _names_plugin(args.fc_calculator)
    ):
        # Before the host starts threads that a forked process would lack.
        _run_to_end(run, args)
    run.install()
    return args


def study_parser(command: str, description: str) -> argparse.ArgumentParser:
    """Return the parser of phono3py-load with our options, for a command of ours."""
    parser: argparse.ArgumentParser
    parser, _ = original("phono3py.cui.phono3py_argparse:get_run_parser")()
    add_options(parser)
    parser.prog, parser.description = command, description
    parser.error = lambda message: _refuse(parser, message)  # type: ignore[method-assign]
    return parser


def run_study(
    parser: argparse.ArgumentParser,
    args: argparse.Namespace,
    study: StudyRun,
    *,
    watched: bool,
) -> int:
    """Run phono3py-load with a study in the place of kappa; return the exit code.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Of `study_parser`, with further options.
    args : argparse.Namespace
        What it has parsed.
    study : StudyRun
    watched : bool
        As in `work_in_folder`.

    Raises
    ------
    ParameterError
        An operation of phono3py-init is asked for.
    """
    from phono3py.cui import phono3py_script

    operation = getattr(args, "setup_operation", None)
    if operation is not None:
        raise ParameterError(
            f"'{operation}' is a setup operation of phono3py-init, not of "
            f"{parser.prog}."
        )
    give_file_back(parser, args)
    check_inputs(Path(), vars(args).values())
    work_in_folder(Path(), describe_saved_study, watched=watched)
    options = _options_of(args)
    if options.force_calculator is None:
        args.use_pypolymlp = True
    args.log_level = 0
    Run(phono3py_script, options, study).install()
    phono3py_script.main(load_phono3py_yaml=True, mode="run", args=args)
    return 0


def _options_of(args: argparse.Namespace) -> CommandOptions:
    """Return our options, taken out of the host's."""
    names = CommandOptions.__dataclass_fields__
    return CommandOptions(**{name: args.__dict__.pop(name) for name in names})


def _run_to_end(run: Run, args: argparse.Namespace) -> NoReturn:
    """Run the host's main function where all it raises is told, and exit."""
    from phono3py.cui import phono3py_script

    def work() -> int:
        global _parsed
        work_in_folder(Path())
        run.install()
        _parsed = args
        try:
            phono3py_script.main(load_phono3py_yaml=True, mode="run")
        finally:
            _parsed = None
        return 0

    sys.exit(run_to_end(work, verbose=bool(args.verbose)))


def _asks_for_potential(arguments: Sequence[str]) -> bool:
    # argparse takes abbreviations.
    return any(word.startswith(("--py", "--force-calc")) for word in arguments)


def _names_plugin(fc_calculator: str | None) -> bool:
    names = (fc_calculator or "").lower().split("|")
    return any(name.strip() not in ("", *_OF_HOST) for name in names)


def _refuse(parser: argparse.ArgumentParser, message: str) -> NoReturn:
    """Tell on one line what argparse tells below its usage."""
    one = " ".join(message.split())
    parser.exit(2, f"ERROR: {one}. '{parser.prog} --help' lists the options.\n")


def work_in_folder(
    folder: Path,
    kept: Callable[[Path], str] = lambda folder: "",
    *,
    watched: bool = True,
) -> None:
    """Go on in a watched process that has the folder for itself.

    Parameters
    ----------
    folder : Path
    kept : callable
        Returns what the folder keeps of a run that a signal has stopped, as
        "3 points are kept"; nothing where there is no more to say than that.
    watched : bool
        Work in a process of its own; False for calls from Python.

    Raises
    ------
    FolderInUse
        Another run works there.
    """
    # A plugin may change the working directory.
    folder = folder.absolute()

    def clean_up(process: int) -> None:
        sweep(folder, process)
        remove_dead_lock(folder)

    if watched:
        supervise(
            clean_up,
            lambda line: print(line, file=sys.stderr),
            lambda: kept(folder),
        )
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
