"""Parsers and dataset checks on what nobody thinks of."""

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from phono3py_mlp_plugin.calculators.pypolymlp import PypolymlpOptions
from phono3py_mlp_plugin.contracts import Dataset
from phono3py_mlp_plugin.errors import DatasetError, MLPError, ParameterError
from phono3py_mlp_plugin.options import parse_options, split_items
from phono3py_mlp_plugin.reference import nacl_dataset
from phono3py_mlp_plugin.workflow import (
    Split,
    check_dataset,
    check_split,
    read_dataset,
    request_calculator,
    split_dataset,
)

_, NACL = nacl_dataset(6, repeats=1)
N = len(NACL)

names = st.sampled_from(
    [*PypolymlpOptions.__dataclass_fields__, "ntrain", "ntest", "split", "seed", "x"]
)
values = st.one_of(
    st.text("0123456789.-+e ainfNaCl_", min_size=1, max_size=12),
    st.integers(-(10**20), 10**20).map(str),
    st.floats().map(str),
    st.lists(st.integers(-3, 9).map(str), max_size=4).map(" ".join),
    st.sampled_from(["gtinv", "pair", "compact", "yes", "no", "Na -1 Cl -2"]),
)
items = st.lists(st.tuples(names, values).map(" = ".join), max_size=5).map(", ".join)


def lines(error):
    return str(error).splitlines()


@settings(deadline=None, max_examples=400)
@given(st.one_of(items, st.text(max_size=60)))
@example("cutoff=1e400")
@example("@")
@example("@0")
@example("@~x/y, a = 1")
@example("gaussian_params2=0 1 99999999999999999999")
def test_parameters_are_read_or_refused_in_one_line(text):
    try:
        request = request_calculator("pypolymlp", text, "--mlp-params")
    except ParameterError as error:
        assert len(lines(error)) == 1
        assert str(error).startswith("--mlp-params: ") or "ntrain" in str(error)
    else:
        assert 0 < request.options.cutoff < np.inf
        assert request.options.memory is None or 0 < request.options.memory < np.inf


@settings(deadline=None, max_examples=200)
@given(
    st.dictionaries(
        st.sampled_from(["cutoff", "energy_weight", "force_weight", "memory"]),
        st.floats(1e-300, 1e300),
    )
)
def test_numbers_are_read_as_written(numbers):
    text = ", ".join(f"{name} = {value!r}" for name, value in numbers.items())
    found = parse_options(split_items(text, "x"), PypolymlpOptions, "x")
    assert all(getattr(found, name) == value for name, value in numbers.items())


@settings(deadline=None, max_examples=300)
@given(
    n=st.integers(-1, 30),
    ntrain=st.none() | st.integers(-2, 32),
    ntest=st.none() | st.integers(-2, 32),
    seed=st.none() | st.integers(0, 5),
)
def test_split_is_disjoint_or_refused(n, ntrain, ntest, seed):
    try:
        split = split_dataset(n, ntrain, ntest, seed=seed)
    except ParameterError as error:
        assert len(lines(error)) == 1
        return
    chosen = [*split.training, *split.test]
    assert len(set(chosen)) == len(chosen) <= n
    assert set(chosen) <= set(range(n))
    assert len(split.training) and len(split.test)
    assert ntrain is None or len(split.training) == ntrain
    assert ntest is None or len(split.test) == ntest


any_number = st.floats(allow_nan=True, allow_infinity=True, width=64)


@settings(deadline=None, max_examples=200)
@given(
    which=st.sampled_from(["displacements", "forces", "supercell_energies"]),
    array=hnp.arrays(
        "float64",
        st.one_of(
            st.just((N, 8, 3)), st.just((N,)), hnp.array_shapes(min_dims=0, max_side=9)
        ),
        elements=any_number,
    ),
)
@example("displacements", np.full((N, 8, 3), 1e-264))
@example("forces", np.full((N, 8, 3), 8.8e-264))
@example("forces", np.where(np.arange(N)[:, None, None] == 1, 1e-150, NACL.forces))
def test_any_array_is_taken_or_refused_in_one_line(which, array):
    content = {
        "displacements": NACL.displacements,
        "forces": NACL.forces,
        "supercell_energies": NACL.energies,
        which: array,
    }
    try:
        dataset = read_dataset(content, NACL.supercell)
        notes = [*check_dataset(dataset), *check_split(dataset, split_dataset(N))]
    except MLPError as error:
        assert len(lines(error)) == 1
        return
    assert all(len(lines(note)) == 1 for note in notes)
    assert np.isfinite(dataset.displacements).all()
    assert np.isfinite(dataset.forces).all()


@settings(deadline=None, max_examples=60)
@given(
    snapshot=st.integers(0, N - 1),
    factor=st.sampled_from([13.606, 25.711, 27.211, 51.422]),
    smaller=st.booleans(),
)
def test_other_units_are_found_wherever_they_are(snapshot, factor, smaller):
    forces = NACL.forces.copy()
    forces[snapshot] *= 1 / factor if smaller else factor
    spoiled = Dataset(NACL.supercell, NACL.displacements, forces, NACL.energies)
    with pytest.raises(DatasetError, match=f"^snapshot {snapshot + 1}: forces over"):
        check_dataset(spoiled)


@settings(deadline=None, max_examples=40)
@given(
    # Softer than any crystal (0.1) gets a note.
    scale=st.floats(0.11, 3.0),
    seed=st.integers(0, 2**32 - 1),
    amplitude=st.floats(1e-3, 0.3),
)
def test_sound_datasets_are_not_refused(scale, seed, amplitude):
    """Harmonic forces of any stiffness, in any order, whatever the amplitude."""
    rng = np.random.default_rng(seed)
    displacements = rng.normal(size=(N, 8, 3))
    displacements *= amplitude / np.abs(displacements).max()
    displacements -= displacements.mean(axis=1, keepdims=True)
    assume(np.abs(displacements).max() > 0)
    forces = -scale * displacements
    energies = -30 + scale * (displacements**2).sum(axis=(1, 2)) / 2
    dataset = Dataset(NACL.supercell, displacements, forces, energies)
    assert check_dataset(dataset) == []


def test_ordered_amplitudes_get_a_note():
    scale = np.linspace(0.5, 2.0, N)[:, None, None]
    dataset = Dataset(NACL.supercell, scale * NACL.displacements, scale * NACL.forces)
    (note,) = check_split(dataset, split_dataset(N))
    assert "ordered by amplitude" in note
    assert check_split(dataset, split_dataset(N, seed=1)) == []


def test_snapshots_that_are_the_same_get_a_note():
    rows = [0, 1, 2, 3, 1]
    (note,) = check_dataset(NACL.select(rows))
    assert note.startswith("snapshots 2 and 5 are the same")


def test_net_force_gets_a_note():
    forces = NACL.forces.copy()
    forces[3] += 0.1
    dataset = Dataset(NACL.supercell, NACL.displacements, forces, NACL.energies)
    (note,) = check_dataset(dataset)
    assert note.startswith("snapshot 4: the mean force is 0.17 eV/angstrom per atom")


def test_same_seed_same_test_set_and_nested_training_sets():
    small, large = (split_dataset(50, n, 10, seed=3) for n in (5, 20))
    assert isinstance(small, Split)
    assert np.array_equal(small.test, large.test)
    assert np.array_equal(small.training, large.training[:5])


def test_systematic_displacements_get_a_note():
    displacements = np.zeros((8, 8, 3))
    displacements[range(8), range(8), 0] = 0.03
    dataset = Dataset(NACL.supercell, displacements, -displacements)
    assert check_dataset(dataset)[0].startswith("a snapshot displaces 1 of 8 atoms")
