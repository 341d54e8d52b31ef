"""Keys of points, by which those of earlier studies are reused."""

from types import SimpleNamespace

import numpy as np

from analytic_crystal import analytic_crystal
from phono3py_mlp_plugin.contracts import Ensemble, no_progress
from phono3py_mlp_plugin.convergence import Study, Variant, run
from phono3py_mlp_plugin.workflow import (
    DisplacementOptions,
    read_dataset,
    request_calculator,
    request_force_constants,
)
from small_model import MODEL


def test_points_whose_potentials_were_drawn_in_another_way_have_another_key(
    monkeypatch,
):
    crystal = analytic_crystal()
    variant = Variant(
        "",
        request_calculator("pypolymlp", MODEL),
        DisplacementOptions(),
        request_force_constants("symfc"),
    )
    study = Study(variants=(variant,), sizes=(5,), ntest=5, ensemble=Ensemble(4))

    def key(**settings):
        transport = SimpleNamespace(settings=settings, temperatures=np.array([300.0]))
        dataset = read_dataset(crystal.dataset, crystal.supercell)
        points = run._Run(
            crystal, dataset, study, transport, {}, print, no_progress, None
        )
        return points._key(variant, np.arange(5))

    now = key(average_degenerate_weights=True)
    assert key(average_degenerate_weights=True) == now
    assert key(average_degenerate_weights=False) != now
    monkeypatch.setattr(run, "DRAWS", "independent random signs")
    assert key(average_degenerate_weights=True) != now
