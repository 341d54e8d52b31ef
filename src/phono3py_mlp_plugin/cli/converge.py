"""``phono3py-mlp converge``: kappa against the number of supercells."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from phono3py_mlp_plugin.contracts import Ensemble
from phono3py_mlp_plugin.errors import DatasetError, ParameterError
from phono3py_mlp_plugin.files import (
    CONVERGENCE_FILE,
    read_convergence,
    replacing,
    write_convergence,
)
from phono3py_mlp_plugin.workflow import (
    DisplacementOptions,
    Point,
    Study,
    TransportOptions,
    Variant,
    Verdict,
    certainty,
    check_dataset,
    check_study,
    compare_models,
    converge,
    forecast,
    judge,
    least_sure,
    read_dataset,
    request_calculator,
    request_solver,
    split_dataset,
    with_memory,
    with_value,
)

_FIGURE = "phono3py_mlp_convergence.png"

# Part of the dataset that tests, where the user does not say, and its largest size.
_TEST = 5
_LARGEST_TEST = 20

_SMALLEST_SIZE = 5


def add_converge(commands: Any) -> None:
    """Add ``converge`` to the commands."""
    parser = commands.add_parser(
        "converge",
        help="kappa against the number of supercells, with error bars",
        description="Train on growing parts of the dataset with a fixed test set, and "
        "tell whether kappa is converged, its error bar, and how many more supercells "
        "it takes. Finished points are kept and used again.",
    )
    parser.add_argument("filename", metavar="phono3py_params.yaml", type=Path)
    what = parser.add_argument_group("what is varied")
    what.add_argument(
        "--sizes",
        nargs="+",
        type=int,
        metavar="N",
        help="numbers of training supercells (default: 5, 10, 20, ... up to all)",
    )
    what.add_argument(
        "--orders",
        type=int,
        default=1,
        metavar="N",
        help="orders of the supercells: that of the file, then random ones (default 1)",
    )
    what.add_argument(
        "--over",
        metavar="NAME=A,B,...",
        help="vary mesh, amplitude, cutoff-fc3 or a parameter of the potential too",
    )
    _add_potential(parser)
    _add_force_constants(parser)
    _add_transport(parser)
    errors = parser.add_argument_group("error bars and verdict")
    errors.add_argument(
        "--members",
        type=int,
        default=Ensemble.members,
        metavar="N",
        help="potentials drawn about each fit (default %(default)s)",
    )
    errors.add_argument(
        "--ensemble",
        choices=["jackknife", "posterior"],
        default=Ensemble.method,
        help="how they are drawn (default %(default)s)",
    )
    errors.add_argument(
        "--uncertainty-mesh",
        nargs="+",
        type=float,
        metavar="N",
        help="mesh that they are run on (default: --mesh)",
    )
    errors.add_argument(
        "--tolerance",
        type=float,
        default=Study.tolerance,
        help="relative change of kappa that is accepted (default %(default)s)",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress")
    parser.set_defaults(run=_converge)


def _add_potential(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("potential")
    group.add_argument(
        "--force-calculator", default="pypolymlp", metavar="NAME", help="default: it"
    )
    group.add_argument(
        "--mlp-params", metavar='"key = value, ..."', help="its parameters; ntest too"
    )
    group.add_argument("--memory", type=float, metavar="GB", help="as in phono3py-load")


def _add_force_constants(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("force constants")
    group.add_argument(
        "--rd",
        type=int,
        metavar="N",
        help="pairs of supercells with random displacements (default: twice as many "
        "equations as force constants, at least 8)",
    )
    group.add_argument(
        "--amplitude",
        type=float,
        default=DisplacementOptions.amplitude,
        help="length of displacements (angstrom, default %(default)s)",
    )
    group.add_argument(
        "--random-seed", type=int, default=0, help="of displacements and ensemble"
    )
    group.add_argument(
        "--fc-calculator", default="symfc", metavar="NAME", help="default %(default)s"
    )
    group.add_argument(
        "--fc-calculator-options",
        "--fc-calc-opt",
        metavar='"key = value, ..."',
        help="e.g. cutoff = 5",
    )


def _add_transport(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("thermal conductivity")
    group.add_argument(
        "--mesh", nargs="+", type=float, required=True, metavar="N", help="as the host"
    )
    group.add_argument(
        "--ts", nargs="+", type=float, default=[300.0], metavar="T", help="default 300"
    )
    method = group.add_mutually_exclusive_group()
    method.add_argument("--br", action="store_true", help="relaxation times (default)")
    method.add_argument("--lbte", action="store_true", help="direct solution")
    group.add_argument("--sigma", type=float, help="Gaussian smearing (THz)")
    group.add_argument("--isotope", action="store_true", help="isotope scattering")
    group.add_argument(
        "--bmfp", type=float, metavar="L", help="boundary mean free path (micrometre)"
    )


def _converge(args: argparse.Namespace) -> int:
    from phono3py_mlp_plugin.host.command import work_in_folder
    from phono3py_mlp_plugin.host.output import progress
    from phono3py_mlp_plugin.host.reading import read_crystal
    from phono3py_mlp_plugin.report import draw_convergence, save

    work_in_folder(Path())
    crystal = read_crystal(args.filename)
    dataset = read_dataset(crystal.dataset, crystal.supercell, str(args.filename))
    if dataset is None:
        raise DatasetError(f"{args.filename}: there are no forces in it.")
    study = _study(args, len(dataset))
    check_study(study, len(dataset))
    notes = [*check_dataset(dataset)]
    if crystal.nac_params is None:
        notes.append("no Born charges: nothing corrects for long-range forces.")
    for note in notes:
        print(f"Note: {note}")
    if crystal.nac_params is not None:
        print("Born charges correct for long-range forces.")
    split = split_dataset(len(dataset), max(study.sizes), study.ntest)
    for line in forecast(study.variants[0].request, dataset, split):
        print(line)
    path = Path(CONVERGENCE_FILE)
    earlier = {record["key"]: record for record in read_convergence(path)}
    known = _known(earlier.values())
    points: list[Point] = []

    def keep(point: Point) -> None:
        earlier[point.key] = dataclasses.asdict(point)
        write_convergence(path, list(earlier.values()), {})

    table = _Table(study)
    for point in converge(
        crystal, dataset, study, known, keep, progress(0 if args.quiet else 1)
    ):
        points.append(point)
        table.show(point, reused=point.key in known)
    verdicts = _verdicts(points, study)
    for group, verdict in verdicts.items():
        _print_verdict(group, verdict, study)
    last = points[-1]
    print(
        f"Force constants of {last.size} supercells are sure to "
        f"{certainty(last.fc2_error, last.fc3_error)} of their norm."
    )
    if last.fc2_error:
        print(f"Least sure of the phonons: {least_sure(last.phonons)}.")
    for note in compare_models(points):
        print(f"Note: {note}")
    write_convergence(
        path,
        list(earlier.values()),
        {group or "kappa": dataclasses.asdict(v) for group, v in verdicts.items()},
    )
    with replacing(Path(_FIGURE)) as temporary:
        save(draw_convergence(points), temporary)
    print(f'Points are in "{path}", the figure is "{_FIGURE}".')
    return 0


def _study(args: argparse.Namespace, n: int) -> Study:
    """Return what is asked for, checked before any work."""
    name = args.force_calculator
    request = with_memory(
        request_calculator(name, args.mlp_params, "--mlp-params"), args.memory
    )
    if request.split.ntrain is not None or request.split.split != "head-tail":
        raise ParameterError(
            "--mlp-params: ntrain and split are what converge varies. Use --sizes and "
            "--orders."
        )
    for option in ("rd", "amplitude", "sigma", "bmfp", "tolerance"):
        value = getattr(args, option)
        if value is not None and not 0 < value < float("inf"):
            raise ParameterError(f"--{option} = {value}; expected a positive number.")
    if args.members < 2 or args.orders < 1:
        raise ParameterError("--members: at least 2; --orders: at least 1.")
    ntest = request.split.ntest or max(1, min(_LARGEST_TEST, n // _TEST))
    transport = TransportOptions(
        mesh=tuple(args.mesh),
        temperatures=tuple(args.ts),
        method="LBTE" if args.lbte else "RTA",
        sigma=args.sigma,
        isotope=args.isotope,
        boundary_mfp=args.bmfp,
    )
    own_mesh = args.uncertainty_mesh
    variant = Variant(
        label="",
        request=request,
        displacements=DisplacementOptions(args.rd, args.amplitude, args.random_seed),
        solver=request_solver(args.fc_calculator, args.fc_calculator_options),
        transport=transport,
        ensemble_transport=transport
        if own_mesh is None
        else dataclasses.replace(transport, mesh=tuple(own_mesh)),
    )
    variants: Sequence[Variant] = (variant,)
    sizes = tuple(args.sizes or _default_sizes(n - ntest))
    if args.over:
        variants = _over(variant, args)
        if not args.sizes:
            sizes = sizes[-1:]
    return Study(
        variants=tuple(variants),
        sizes=sizes,
        ntest=ntest,
        orders=args.orders,
        ensemble=Ensemble(args.members, args.ensemble, args.random_seed),
        tolerance=args.tolerance,
    )


def _default_sizes(largest: int) -> list[int]:
    sizes = []
    size = _SMALLEST_SIZE
    while size < largest:
        sizes.append(size)
        size *= 2
    return [*sizes, largest]


def _over(variant: Variant, args: argparse.Namespace) -> list[Variant]:
    """Return the variants of ``--over name=a,b``."""
    name, equals, values = args.over.partition("=")
    name = name.strip()
    texts = [text.strip() for text in values.split(",") if text.strip()]
    if not (equals and name and len(texts) > 1):
        raise ParameterError(
            f"--over {args.over}: expected name=a,b with at least two values."
        )
    options = type(variant.request.options)
    if name in {item.name for item in dataclasses.fields(options)}:
        given = f"{args.mlp_params}, " if args.mlp_params else ""
        return [
            dataclasses.replace(
                variant,
                label=f"{name} = {text}",
                request=with_memory(
                    request_calculator(
                        args.force_calculator, f"{given}{name} = {text}", "--over"
                    ),
                    args.memory,
                ),
            )
            for text in texts
        ]
    return [with_value(variant, name, text) for text in texts]


def _known(records: Iterable[dict[str, Any]]) -> dict[str, Point]:
    """Return the points of an earlier run; those of other formats are left out."""
    points = (Point.from_record(record) for record in records)
    return {point.key: point for point in points if point is not None}


def _verdicts(points: Sequence[Point], study: Study) -> dict[str, Verdict]:
    groups: dict[str, list[Point]] = {}
    for point in points:
        order = f"order {point.order}" if study.orders > 1 else ""
        name = ", ".join(text for text in (point.label, order) if text)
        groups.setdefault(name, []).append(point)
    return {
        name: judge(group, study.tolerance, study.agree)
        for name, group in groups.items()
    }


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
        return
    needed = (
        ""
        if verdict.needed is None or verdict.error < study.tolerance
        else f" About {verdict.needed} supercells are expected to be needed."
    )
    print(
        f"{head}not converged with {verdict.size} supercells: {change}{error}; "
        f"{limit}.{needed}"
    )


class _Table:
    """One line for each point, as it comes."""

    def __init__(self, study: Study) -> None:
        variant = study.variants[0]
        temperature = variant.transport.temperatures[0]
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
