"""Born charges and dielectric tensors that a crystal cannot have are refused."""

from __future__ import annotations

import numpy as np
import phono3py
import pytest

import phono3py_mlp_plugin as mlp
from phono3py_mlp_plugin.errors import DatasetError
from phono3py_mlp_plugin.workflow import check_born_charges

ALN = "test/phono3py_params_AlN332.yaml.xz"
GOOD = [
    ALN,
    "test/phono3py_params_NaCl222.yaml.xz",
    pytest.param(
        "test/phono3py_params_MgO-222rd-444rd.yaml.xz", marks=pytest.mark.slow
    ),
    "example/zb-ZnTe-PBEsol/phono3py_params_ZnTe.yaml.xz",
    "test/conductivity/interband/phono3py_params_NaMgF3.yaml.xz",
]
AXES = [2, 1, 0]

WRONG = {
    "sum over the 4 atoms": lambda z, e: (np.abs(z), e),
    "sum over": lambda z, e: (z * np.array([1, 1, 1, -1])[:, None, None], e),
    "charges: a number is not finite": lambda z, e: (z * np.nan, e),
    "expected \\(4, 3, 3\\)": lambda z, e: (z[:-1], e),
    "equal by symmetry": lambda z, e: (z[:, AXES][:, :, AXES], e),
    "largest element = 53": lambda z, e: (20 * z, e),
    "tensor: a number is not finite": lambda z, e: (z, np.full((3, 3), np.inf)),
    "principal values = -4.65": lambda z, e: (z, -e),
    "principal values = 0 0 0": lambda z, e: (z, 0 * e),
    "principal values = 4.4": lambda z, e: (z, 1e4 * e),
    "should be equal differ by 1": lambda z, e: (
        z,
        e + np.eye(3)[[1, 0, 2]] * [0, 1, 0],
    ),
    "changes by 0.75 under the symmetry": lambda z, e: (z, e + np.diag([1, 0, 0])),
    "tensor: shape = \\(3,\\)": lambda z, e: (z, np.diag(e)),
    "charges: cannot be read": lambda z, e: ("many", e),
}


def load(host_source, name):
    return phono3py.load(host_source / name, produce_fc=False, log_level=0)


@pytest.fixture(scope="module")
def published(host_source):
    return load(host_source, ALN)


@pytest.fixture
def aln(published):
    own = published.nac_params
    yield published
    published.nac_params = own


@pytest.mark.parametrize("name", GOOD)
def test_charges_of_first_principles_get_no_word(
    host_source, name, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    ph3 = load(host_source, name)
    check_born_charges(ph3)
    # As charges that no program has symmetrised.
    nac = ph3.nac_params
    spread = np.random.default_rng(0).normal(scale=0.01, size=nac["born"].shape)
    ph3.nac_params = nac | {"born": nac["born"] + spread}
    check_born_charges(ph3)


@pytest.mark.parametrize("cause", WRONG)
def test_what_a_crystal_cannot_have_is_named(aln, cause):
    nac = aln.nac_params
    born, dielectric = WRONG[cause](nac["born"], nac["dielectric"])
    aln.nac_params = nac | {"born": born, "dielectric": dielectric}
    with pytest.raises(DatasetError, match=cause) as refused:
        check_born_charges(aln)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("factor", [float("nan"), 0.0, -14.4, "x"])
def test_a_factor_that_is_not_positive_is_refused(aln, factor):
    aln.nac_params = aln.nac_params | {"factor": factor}
    with pytest.raises(DatasetError, match="unit conversion factor"):
        check_born_charges(aln)


def test_a_crystal_without_charges_is_not_checked(aln):
    aln.nac_params = None
    check_born_charges(aln)


def test_training_in_python_refuses_charges_before_the_work(aln):
    aln.nac_params = aln.nac_params | {"born": np.abs(aln.nac_params["born"])}
    with pytest.raises(DatasetError, match="sum over the 4 atoms"):
        mlp.train(aln)
