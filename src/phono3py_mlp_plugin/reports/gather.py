"""Collection of the contents of a report from the folder of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phono3py_mlp_plugin.convergence import CONVERGENCE_FILE, read_last_study
from phono3py_mlp_plugin.errors import DatasetError
from phono3py_mlp_plugin.files import find_potential, read_provenance
from phono3py_mlp_plugin.reports.contents import Contents
from phono3py_mlp_plugin.reports.folder import RunFolder, Sections
from phono3py_mlp_plugin.reports.origins import facts_of, options_of
from phono3py_mlp_plugin.reports.phonons import (
    bands_of,
    direct_fc2,
    fc2_data,
    force_constants_of,
    phonon_checks,
)
from phono3py_mlp_plugin.reports.training import (
    NO_RECORD,
    checked_dataset,
    load_potential,
    named_potential,
    no_split,
    potential_checks,
    snapshots_of,
    split_of,
)
from phono3py_mlp_plugin.reports.transport import (
    bars_of,
    budget_checks,
    budget_of,
    kappa_of,
    models_of,
    points_of,
)
from phono3py_mlp_plugin.workflow import CalculatorSpec, check_drift, chemical_formula

if TYPE_CHECKING:
    from phono3py import Phono3py


def gather(
    crystal: Phono3py,
    folder: Path,
    spec: CalculatorSpec,
    evaluated: Phono3py | None,
    settings: Mapping[str, Any],
    named: Path | None = None,
) -> Contents:
    """Return the contents of a report from the files of a folder.

    Parameters
    ----------
    crystal : Phono3py
        Provides cells, dataset and Born charges.
    folder : Path
    spec : CalculatorSpec
        Force calculator and its options.
    evaluated : Phono3py or None
        Crystal whose supercells were evaluated by the potential. Its positions are
        relaxed if the run relaxed them.
    settings : mapping
        Options of the run by name.
    named : Path, optional
        Potential file; by default, it is searched for in the folder.

    Raises
    ------
    DatasetError
        If there is neither a potential nor force constants nor kappa.
    ParameterError, PotentialError
        If the named file is not a potential of this crystal.
    """
    run = RunFolder(folder, crystal, evaluated or crystal, evaluated, spec)
    sections = Sections()
    make = sections.make
    dataset = make("parity", checked_dataset, run)
    data_fc2 = make("direct", fc2_data, run)
    path = named or find_potential(spec.calculator.file_names, folder)
    provenance = None if path is None else read_provenance(path)
    potential = (
        make("parity", load_potential, run, path)
        if named is None
        else named_potential(run, named)
    )
    split = make("split", split_of, provenance, dataset) or no_split()
    fc2, fc3 = (make("bands", force_constants_of, run, order) for order in (2, 3))
    kappa = make("kappa", kappa_of, run)
    if potential is None and fc2 is None and kappa is None:
        raise DatasetError(
            f'nothing to report in "{folder.resolve().name}": no potential, '
            "fc2.hdf5 or kappa file. Run phono3py --pypolymlp first."
        )
    if kappa is not None and not (kappa.kappa > 0).any():
        sections.missing["cumulative"] = f"kappa of {kappa.name} is not positive."
        kappa = replace(kappa, mode_kappa=None)
    elif kappa is not None and kappa.mode_kappa is None:
        sections.missing["cumulative"] = (
            f"{kappa.name} does not contain the contributions of modes."
        )
    snapshots = bands = None
    checks = []
    if fc2 is not None:
        mesh = None if kappa is None else kappa.mesh
        checks += make("bands", phonon_checks, run, fc2, mesh) or []
        direct = make("direct", direct_fc2, run, data_fc2)
        bands = make("bands", bands_of, run, fc2, direct, data_fc2)
        if fc3 is not None:
            checks.append(check_drift(fc2, fc3))
    if potential is not None:
        snapshots = make("parity", snapshots_of, run, potential, dataset, split)
        arguments = (run, potential, dataset, split, provenance)
        checks += make("parity", potential_checks, *arguments) or []
    if provenance is None or not provenance.penalties:
        sections.missing.setdefault("penalties", NO_RECORD)
    facts = facts_of(
        run,
        sections,
        dataset,
        path,
        provenance,
        kappa,
        direct_fc2=data_fc2 is not None,
    )
    points = make("convergence", points_of, run) or []
    study = read_last_study(folder / CONVERGENCE_FILE) if points else None
    bars = {} if kappa is None else make("bars", bars_of, run, kappa) or {}
    budget = None
    if kappa is not None:
        budget = make("budget", budget_of, run, points, kappa)
        checks += [] if budget is None else budget_checks(budget[0])
    return Contents(
        formula=chemical_formula(crystal.primitive.symbols),
        n_atoms=len(crystal.supercell),
        provenance=provenance,
        snapshots=snapshots,
        points=points,
        tolerance=None if study is None else study.tolerance,
        bands=bands,
        kappa=kappa,
        bars=bars,
        models=(make("bars", models_of, run) or ()) if bars else (),
        budget=budget,
        checks=checks,
        facts=[*facts, *options_of(settings)],
        missing=sections.missing,
    )
