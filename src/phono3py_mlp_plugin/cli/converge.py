"""``phono3py-mlp converge``: kappa as a function of the number of supercells."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phono3py_mlp_plugin.cli.inputs import only_value
from phono3py_mlp_plugin.cli.parser import example, host_command_help
from phono3py_mlp_plugin.contracts import Ensemble
from phono3py_mlp_plugin.convergence import (
    CONVERGENCE_FILE,
    OF_DISPLACEMENTS,
    LastStudy,
    Point,
    Study,
    StudyFile,
    Variant,
    Verdict,
    compare_models,
    converge,
    default_sizes,
    default_test_size,
    describe_saved_study,
    draw_convergence,
    judge_all,
    variants_over,
)
from phono3py_mlp_plugin.errors import ParameterError
from phono3py_mlp_plugin.files import write_whole
from phono3py_mlp_plugin.parallel import forget_chunks
from phono3py_mlp_plugin.plotting import SUFFIXES, Style, read_style, render
from phono3py_mlp_plugin.ranges import POSITIVE, check_range
from phono3py_mlp_plugin.uncertainty import ErrorBudget
from phono3py_mlp_plugin.workflow import (
    budget_lines,
    chemical_formula,
    force_constant_errors_text,
    large_contributions,
    most_uncertain_frequency,
    penalty_note,
)

if TYPE_CHECKING:
    from phono3py_mlp_plugin.host.force_constants import ForceConstantsPlan
    from phono3py_mlp_plugin.host.settings import RunRequest
    from phono3py_mlp_plugin.host.study import StudyTask

_FIGURE = "phono3py_mlp_convergence"

_DESCRIPTION = (
    "Train on increasing parts of the dataset with a fixed test set, and report "
    "whether kappa is converged, its error bar, and how many more supercells are "
    "needed. Finished points are kept and reused. All options of phono3py can be "
    "used ('phono3py --help' lists them). By default, kappa is computed in the "
    "relaxation-time approximation (--br) at 300 K from derivatives of the potential "
    "(--fc-calculator exact) if it has them, otherwise from random displacements "
    "(--rd auto) with seed 0."
)
_EXAMPLE = example("phono3py-mlp converge phono3py_params.yaml --mesh 11 11 11")


def add_converge(commands: Any) -> None:
    """Add ``converge``, which also has the options of phono3py."""
    commands.add_parser(
        "converge",
        help="kappa against the number of supercells, with error bars",
        add_help=False,
        prefix_chars=" ",
    ).add_argument("arguments", nargs="*")


def run_converge(arguments: Sequence[str], *, watched: bool) -> int:
    """Run ``phono3py-mlp converge``.

    Parameters
    ----------
    arguments : sequence of str
        Command-line arguments after ``converge``.
    watched : bool
        Whether to run in a separate, supervised process.
    """
    from phono3py_mlp_plugin.host.command import run_study
    from phono3py_mlp_plugin.host.output import progress
    from phono3py_mlp_plugin.host.study import StudyRun

    parser = converge_parser()
    args = parser.parse_args(list(arguments))
    options = _StudyOptions.from_arguments(args)
    log_level = 0 if args.quiet else 1
    # A style that cannot be used is told before the study, not after it.
    style = read_style(Path())

    def run_task(task: StudyTask) -> None:
        _run_task(task, progress(log_level), style)

    # The table and the verdict are the result: they are printed with --quiet too.
    study = StudyRun(options.study, options.displaces, run_task, 1)
    return run_study(parser, args, study, watched=watched, kept=describe_saved_study)


def converge_parser() -> argparse.ArgumentParser:
    """Return the parser of ``converge``; its help is on the options of a study."""
    from phono3py_mlp_plugin.host.command import study_parser

    name = "phono3py-mlp converge"
    parser = study_parser(name, _DESCRIPTION)
    _add_study_options(parser)
    shown = host_command_help(name, _DESCRIPTION, _EXAMPLE)
    _add_study_options(shown)
    parser.format_help = shown.format_help  # type: ignore[method-assign]
    return parser


def _add_study_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a study; here ``--tolerance`` is that of kappa."""
    group = parser.add_argument_group(
        "study of convergence", conflict_handler="resolve"
    )
    group.add_argument(
        "--sizes",
        nargs="+",
        metavar="N",
        help="numbers of training supercells (default: 5, 10, 20, ... up to all)",
    )
    group.add_argument(
        "--orders",
        type=int,
        default=1,
        metavar="N",
        help="number of orders of the supercells: that of the file, then random ones "
        "(default %(default)s)",
    )
    group.add_argument(
        "--over",
        metavar="NAME=A,B,...",
        help="also vary mesh, amplitude, cutoff-fc3 or a parameter of the potential; "
        "if --sizes is not given, only the largest size is used",
    )
    group.add_argument(
        "--members",
        type=int,
        default=Ensemble.members,
        metavar="N",
        help="number of ensemble potentials for each fit (default %(default)s)",
    )
    group.add_argument(
        "--ensemble",
        choices=["jackknife", "posterior"],
        default=Ensemble.method,
        help="method of the ensemble (default %(default)s)",
    )
    group.add_argument(
        "--tolerance",
        type=float,
        default=Study.tolerance,
        metavar="NUMBER",
        help="accepted relative change and error bar of kappa (default %(default)s)",
    )
    group.add_argument(
        "--symmetry-tolerance",
        dest="symmetry_tolerance",
        metavar="LENGTH",
        type=float,
        help="symmetry tolerance of the crystal (--tolerance of phono3py; default "
        "1e-5)",
    )


@dataclasses.dataclass(frozen=True)
class _StudyOptions:
    """Options of ``converge`` that phono3py does not have."""

    sizes: list[str] | None
    orders: int
    over: str | None
    members: int
    ensemble: Any
    tolerance: float
    uncertainty_mesh: list[float] | None
    seed: int
    memory: float | None
    parameters: str | None

    @classmethod
    def from_arguments(cls, args: argparse.Namespace) -> _StudyOptions:
        """Remove the options of a study from ``args`` and return them."""
        names = ("sizes", "orders", "over", "members", "ensemble", "tolerance")
        own = {name: args.__dict__.pop(name) for name in names}
        mesh, args.uncertainty_mesh = args.uncertainty_mesh, None
        if own["members"] < 2 or own["orders"] < 1:
            raise ParameterError("--members: at least 2; --orders: at least 1.")
        check_range("--tolerance", own["tolerance"], POSITIVE)
        sizes = own["sizes"]
        if sizes and len(sizes) > 1 and not args.filename and Path(sizes[-1]).is_file():
            args.filename = [sizes.pop()]
        return cls(
            **own,
            uncertainty_mesh=mesh,
            seed=args.random_seed or 0,
            memory=args.memory,
            parameters=args.mlp_params
            or only_value(
                "--force-calculator-options",
                args.force_calculator_options,
                "Vary a parameter by --over",
            ),
        )

    @property
    def displaces(self) -> bool:
        """Whether ``--over`` varies what only displacements have."""
        return (self.over or "").partition("=")[0].strip() in OF_DISPLACEMENTS

    def study(
        self, request: RunRequest, plan: ForceConstantsPlan, n_supercells: int
    ) -> Study:
        """Return the study after checking its options."""
        from phono3py_mlp_plugin.host.settings import mesh_of

        split = request.calculator.split
        if split.ntrain is not None or split.split != "head-tail":
            raise ParameterError(
                "--mlp-params: ntrain and split are what converge varies. Use --sizes "
                "and --orders."
            )
        ntest = split.ntest or default_test_size(n_supercells)
        variant = Variant("", request.calculator, plan.displacements, plan.request)
        variants = self._variants(variant) if self.over else (variant,)
        sizes = self._sizes(n_supercells - ntest)
        if self.over and not self.sizes:
            sizes = sizes[-1:]
        mesh = self.uncertainty_mesh
        return Study(
            variants=variants,
            sizes=sizes,
            ntest=ntest,
            orders=self.orders,
            ensemble=Ensemble(self.members, self.ensemble, self.seed),
            tolerance=self.tolerance,
            allow_poor_fit=request.allow_poor_fit,
            allow_imaginary=request.allow_imaginary,
            ensemble_mesh=None if mesh is None else mesh_of(mesh, "--uncertainty-mesh"),
        )

    def _sizes(self, largest: int) -> tuple[int, ...]:
        if not self.sizes:
            return default_sizes(largest)
        try:
            return tuple(int(size) for size in self.sizes)
        except ValueError:
            raise ParameterError(
                f"--sizes {' '.join(self.sizes)}: expected ascending numbers of "
                "training supercells."
            ) from None

    def _variants(self, variant: Variant) -> tuple[Variant, ...]:
        """Return the variants of ``--over name=a,b``."""
        assert self.over is not None
        name, equals, values = self.over.partition("=")
        name = name.strip()
        texts = [text.strip() for text in values.split(",") if text.strip()]
        if not (equals and name and len(texts) > 1):
            raise ParameterError(
                f"--over {self.over}: expected name=a,b with at least two values."
            )
        return variants_over(variant, name, texts, self.parameters, self.memory)


def _run_task(task: StudyTask, progress: Any, style: Style) -> None:
    """Run the study, print its table and verdicts, and write its files."""
    study = task.study
    path = Path(CONVERGENCE_FILE)
    file = StudyFile(path)
    points: list[Point] = []

    def keep(point: Point) -> None:
        # It would contradict the new points if the study is stopped.
        for suffix in SUFFIXES:
            Path(f"{_FIGURE}{suffix}").unlink(missing_ok=True)
        file.keep(point)

    table = _Table(study, float(task.transport.temperatures[0]))
    for point in converge(
        task.crystal,
        task.dataset,
        study,
        task.transport,
        file.known,
        keep,
        progress,
        task.distribution,
    ):
        points.append(point)
        table.show(point, reused=point.key in file.known)
    verdicts = judge_all(points, study)
    for group, verdict in verdicts.items():
        _print_verdict(group, verdict, study)
    last = points[-1]
    print(
        f"Relative uncertainty of force constants with {last.size} supercells: "
        f"{force_constant_errors_text(last.fc2_error, last.fc3_error)}."
    )
    if last.fc2_error:
        print(f"Most uncertain phonon: {most_uncertain_frequency(last.phonons)}.")
    for point in points:
        if point.budget is not None:
            _print_budget(point, point.budget, study.tolerance)
    of_penalty = penalty_note(last.alpha, last.smallest_alpha)
    for note in [*([of_penalty] if of_penalty else []), *compare_models(points)]:
        print(f"Note: {note}")
    file.finish(verdicts, LastStudy(study.tolerance, [point.key for point in points]))
    with style.applied():
        formula = chemical_formula(task.crystal.primitive.symbols)
        figure = draw_convergence(points, formula=formula, tolerance=study.tolerance)
        files = render(figure)
    write_whole({Path(f"{_FIGURE}{end}"): content for end, content in files.items()})
    forget_chunks(Path())
    print(
        f'Points are in "{path}", the figure is "{_FIGURE}.png" (also .svg and .pdf).'
    )


def _print_budget(point: Point, budget: ErrorBudget, tolerance: float) -> None:
    """Print the error budget of the last size of a study."""
    label = f"{point.label}: " if point.label else ""
    print(
        f"{label}Error budget of kappa with {point.size} supercells at "
        f"{budget.temperatures[budget.room_temperature]:g} K in percent (68 % "
        "intervals):"
    )
    for line in budget_lines(budget):
        print(f"  {line}")
    for text in large_contributions(budget, tolerance):
        print(f"Note: {label}{text}.")


def _print_verdict(group: str, verdict: Verdict, study: Study) -> None:
    head = f"{group}: " if group else ""
    error = f"error bar {100 * verdict.error:.1f} %"
    change = (
        ""
        if verdict.change is None
        else f"change over the last {study.agree} sizes {100 * verdict.change:.1f} %, "
    )
    limit = f"tolerance {100 * study.tolerance:g} %"
    if verdict.converged:
        print(
            f"{head}converged with {verdict.size} supercells: {change}{error}; {limit}."
        )
        _print_misfit(head, verdict)
        return
    if verdict.imaginary is not None:
        limit += f"; imaginary modes: {verdict.imaginary}"
    needed = (
        ""
        if verdict.needed is None or verdict.error < study.tolerance
        else f" About {verdict.needed} supercells are expected to be needed."
    )
    print(
        f"{head}not converged with {verdict.size} supercells: {change}{error}; "
        f"{limit}.{needed}"
    )
    _print_misfit(head, verdict)


def _print_misfit(head: str, verdict: Verdict) -> None:
    """Print why more supercells are not sufficient, if they are not."""
    if verdict.misfit is not None:
        print(f"Note: {head}{verdict.misfit} More supercells do not help.")


class _Table:
    """Table with one line for each point, printed when the point is finished."""

    def __init__(self, study: Study, temperature: float) -> None:
        print(
            f"Kappa at {temperature:g} K in W/m-K with its 68 % interval; errors of "
            "forces in meV/angstrom."
        )
        self._variants = len(study.variants) > 1
        self._orders = study.orders > 1
        head = f"{'supercells':>10}  {'xx':>17}  {'yy':>17}  {'zz':>17}"
        head += f"  {'test':>7}  {'left out':>8}  {'alpha':>7}"
        print(self._prefix("order", "") + head)

    def _prefix(self, order: str, label: str) -> str:
        text = f"{label:<18}" if self._variants else ""
        return text + (f"{order:>5} " if self._orders else "")

    def show(self, point: Point, reused: bool) -> None:
        cells = []
        for c, value in enumerate(point.diagonal()):
            error = point.error_bar(0, c).half_width(value)
            cells.append(f"{value:8.3f} +- {error:5.3f}")
        alpha = "" if point.alpha is None else f"{point.alpha:7.0e}"
        print(
            self._prefix(str(point.order), point.label)
            + f"{point.size:>10}  "
            + "  ".join(cells)
            + f"  {1000 * point.rmse_test:7.3f}  {1000 * point.left_out:8.3f}  {alpha}"
            + ("  (kept)" if reused else ""),
            flush=True,
        )
        mode = point.imaginary_mode()
        if mode is not None or point.n_imaginary:
            print(f"{'':>10}  imaginary modes: {_imaginary(point, mode)}", flush=True)


def _imaginary(point: Point, mode: str | None) -> str:
    """Describe imaginary modes of the fit and of the ensemble."""
    others = f"{point.n_imaginary} of {len(point.members)} potentials of the ensemble"
    return ", ".join(
        text for text in (mode, others if point.n_imaginary else "") if text
    )
