"""The file of --config, and results that are fewer than displacements."""

from types import SimpleNamespace

import numpy as np
import pytest

from phono3py_mlp_plugin.host import configuration, force_files


class Confs:
    def __init__(self):
        self._confs = {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("MESH = 5 5 5\n", {"mesh": "5 5 5"}),
        ("mlp_params = ntrain=20, ntest=5\n", {"mlp_params": "ntrain=20, ntest=5"}),
        (
            "MLP_PARAMS = ntrain = 20, +++\n  ntest = 5\nBTERTA = .TRUE.\n",
            {"mlp_params": "ntrain = 20, ntest = 5", "bterta": ".TRUE."},
        ),
        ("# a = b\n\n  TMAX=300  \nnothing\n", {"tmax": "300"}),
    ],
)
def test_value_may_hold_equals_signs(text, expected, tmp_path):
    path = tmp_path / "phono3py.conf"
    path.write_text(text)
    confs = Confs()
    configuration.read_file(confs, path)
    assert confs._confs == expected


@pytest.mark.parametrize(("n_files", "told"), [(3, True), (5, False)])
def test_fewer_files_than_displacements_are_told(n_files, told, monkeypatch, capsys):
    def host(settings, dataset, *args):
        return {"forces": np.zeros((n_files, 2, 3))}

    monkeypatch.setattr(force_files, "original", lambda name: host)
    dataset = {"displacements": np.zeros((5, 2, 3))}
    settings = SimpleNamespace(save_params=False)
    force_files.get_force_sets(settings, dataset, None, "phono3py_disp.yaml", None)
    assert (
        "forces of 3 supercells for 5 displacements" in capsys.readouterr().err
    ) is told
