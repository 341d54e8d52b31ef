"""Snapshots put on the sites of a supercell, whatever their order and wrapping."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phonopy.structure.atoms import PhonopyAtoms

from phono3py_mlp_plugin.contracts import Dataset
from phono3py_mlp_plugin.errors import DatasetError
from phono3py_mlp_plugin.files import Frame
from phono3py_mlp_plugin.reference import nacl_dataset
from phono3py_mlp_plugin.workflow.join import (
    dataset_of_frames,
    describe_planned,
    frames_of_dataset,
    join_datasets,
    planned_of_snapshots,
    with_planned_displacements,
    without_net_force,
)

_, NACL = nacl_dataset(3, repeats=1)

# A low-symmetry cell with an angle of 40 degrees; atoms 2.2 angstrom apart or more.
SKEWED = PhonopyAtoms(
    cell=[[6.0, 0, 0], [4.6, 3.9, 0], [1.0, 1.5, 5.0]],
    scaled_positions=[[0.01, 0.02, 0.97], [0.5, 0.52, 0.48], [0.25, 0.9, 0.3]],
    symbols=["Si", "O", "O"],
)


def mixed_up(frame, rng):
    """Shuffle the atoms, and move each by some lattice vector."""
    order = rng.permutation(len(frame.symbols))
    shifts = rng.integers(-3, 4, size=(len(order), 3)) @ frame.lattice
    return replace(
        frame,
        symbols=[frame.symbols[i] for i in order],
        positions=frame.positions[order] + shifts,
        forces=frame.forces[order],
    )


def random_dataset(cell, rng, n=2, amplitude=0.4):
    return Dataset(
        cell,
        rng.uniform(-amplitude, amplitude, (n, len(cell), 3)),
        rng.normal(size=(n, len(cell), 3)),
        rng.normal(size=n),
    )


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), skewed=st.booleans())
def test_order_and_wrapping_do_not_matter(seed, skewed):
    rng = np.random.default_rng(seed)
    cell = SKEWED if skewed else NACL.supercell
    dataset = random_dataset(cell, rng)
    frames = [mixed_up(frame, rng) for frame in frames_of_dataset(dataset, "x")]
    found = dataset_of_frames(frames, cell)
    np.testing.assert_allclose(found.displacements, dataset.displacements, atol=1e-12)
    assert np.array_equal(found.forces, dataset.forces)
    assert np.array_equal(found.energies, dataset.energies)


def spoiled(**changes):
    frames = frames_of_dataset(NACL, "a.extxyz")
    return [frames[0], replace(frames[1], **changes)]


def moved(atom, vector):
    positions = NACL.supercell.positions.copy()
    positions[atom] += vector
    return positions


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"symbols": ["Na"] * 8}, "snapshot 2: Na8; the supercell is Na4 Cl4"),
        ({"lattice": NACL.supercell.cell * 1.01}, "lattice vector a = "),
        ({"positions": moved(2, [1.6, 0, 0])}, "atom 3 is 1.60 angstrom from"),
        (
            {"positions": NACL.supercell.positions + 1.2},
            "Is the origin at another",
        ),
        ({"energy": None}, "snapshot 2: there is no energy, and others have one"),
    ],
)
def test_frames_of_another_crystal_are_refused(changes, message):
    with pytest.raises(DatasetError, match=message):
        dataset_of_frames(spoiled(**changes), NACL.supercell)


def test_two_atoms_at_one_site_are_refused():
    positions = NACL.supercell.positions.copy()
    assert NACL.supercell.symbols[0] == NACL.supercell.symbols[1]
    positions[1] = positions[0] + 0.1
    frame = replace(frames_of_dataset(NACL, "a")[0], positions=positions)
    with pytest.raises(DatasetError, match="atoms 1 and 2 are both nearest to site 1"):
        dataset_of_frames([frame], NACL.supercell)


def test_datasets_are_joined_in_order():
    whole = join_datasets([("a", NACL.select([0, 2])), ("b", NACL.select([1]))])
    np.testing.assert_allclose(
        whole.displacements, NACL.displacements[[0, 2, 1]], atol=1e-12
    )
    assert np.array_equal(whole.energies, NACL.energies[[0, 2, 1]])


def test_snapshots_that_are_there_already_are_refused():
    with pytest.raises(DatasetError, match="b, snapshot 2 is the same as a, snapshot"):
        join_datasets([("a", NACL.select([0, 1])), ("b", NACL.select([2, 1]))])


def test_frames_know_where_they_come_from():
    frame = frames_of_dataset(NACL, "params.yaml")[2]
    assert isinstance(frame, Frame)
    assert frame.where == "params.yaml, snapshot 3"


def test_planned_displacements_replace_those_that_were_rounded():
    rng = np.random.default_rng(5)
    rounded = replace(NACL, displacements=NACL.displacements.round(6))
    planned = np.concatenate([NACL.displacements[::-1], NACL.displacements + 0.2])
    found = with_planned_displacements(rounded, planned)
    assert np.array_equal(found.displacements, NACL.displacements)
    # What was not planned stays.
    other = rng.normal(scale=0.1, size=planned.shape)
    found = with_planned_displacements(rounded, other)
    assert np.array_equal(found.displacements, rounded.displacements)
    none = with_planned_displacements(rounded, planned[:0])
    assert np.array_equal(none.displacements, rounded.displacements)


def test_planned_displacements_without_a_file_are_told():
    index = planned_of_snapshots(NACL, NACL.displacements)
    assert index.tolist() == list(range(len(NACL)))
    assert describe_planned(index, len(NACL)) == []
    planned = np.concatenate([NACL.displacements + 0.2, NACL.displacements[1:2]])
    index = planned_of_snapshots(NACL.select([0, 1]), planned)
    assert index.tolist() == [-1, len(NACL)]
    missing, other = describe_planned(index, len(planned))
    assert missing == "Note: 3 of 4 planned displacements are in no file: 1, 2, 3."
    assert other.startswith("Note: 1 of 2 snapshots have displacements that were not")
    (many,) = describe_planned(np.arange(1), 20)
    assert many.endswith(": 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 9 more.")


def test_net_force_is_taken_off():
    shifted = replace(NACL, forces=NACL.forces + np.array([0.1, 0.2, -0.3]))
    found = without_net_force(shifted)
    assert np.abs(found.forces.sum(axis=1)).max() < 1e-12
    np.testing.assert_allclose(
        found.forces, NACL.forces - NACL.forces.mean(axis=1, keepdims=True), atol=1e-12
    )


def test_energies_of_different_names_are_not_mixed():
    with pytest.raises(
        DatasetError, match=r"snapshot 2: its energy is 'energy', that of .* 1 is 'free"
    ):
        frames = spoiled()
        frames[0] = replace(frames[0], energy_name="free_energy")
        dataset_of_frames(frames, NACL.supercell)
