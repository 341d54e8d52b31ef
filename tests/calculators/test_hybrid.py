"""Hybrid models: several files that are one potential, as pypolymlp writes them."""

import io

import numpy as np
import pytest
from phonopy.structure.atoms import PhonopyAtoms

from phono3py_mlp_plugin import load_potential
from phono3py_mlp_plugin.errors import NotCovered, PotentialError
from phono3py_mlp_plugin.reference import nacl_dataset

ATOMS = {"Na": -100.0, "Cl": -50.0}
MODEL = {
    "cutoff": 4.0,
    "model_type": 3,
    "gtinv_maxl": (2, 2),
    "gaussian_params2": (0.0, 3.0, 3),
    "reg_alpha_params": (-2.0, -2.0, 1),
}
SECOND = {**MODEL, "cutoff": 5.0, "model_type": 2, "gtinv_maxl": (1, 1)}


@pytest.fixture(scope="module")
def data():
    return nacl_dataset(20, repeats=1)[1]


def trained(folder, data, second_elements):
    """Train a hybrid by pypolymlp itself; return the name that its files share."""
    pypolymlp = pytest.importorskip("pypolymlp.mlp_dev.pypolymlp")
    from pypolymlp.utils.phonopy_utils import phonopy_cell_to_structure

    mlp = pypolymlp.Pypolymlp()
    mlp.set_params(elements=("Na", "Cl"), atomic_energy=tuple(ATOMS.values()), **MODEL)
    energies = tuple(ATOMS[symbol] for symbol in second_elements)
    mlp.append_hybrid_params(elements=second_elements, atomic_energy=energies, **SECOND)
    n_pairs = len(data.supercell) / 2
    arrays = (
        data.displacements.transpose(0, 2, 1),
        data.forces.transpose(0, 2, 1),
        data.energies + n_pairs * sum(ATOMS.values()),
    )
    mlp.set_datasets_displacements(
        *(array[:15] for array in arrays),
        *(array[15:] for array in arrays),
        phonopy_cell_to_structure(data.supercell),
    )
    mlp.fit(verbose=False)
    path = folder / "polymlp.yaml"
    mlp.save_mlp(filename=str(path))
    assert sorted(p.name for p in folder.iterdir()) == [
        "polymlp.yaml.1",
        "polymlp.yaml.2",
    ]
    return path


@pytest.fixture(scope="module")
def path(tmp_path_factory, data):
    return trained(tmp_path_factory.mktemp("full"), data, ("Na", "Cl"))


@pytest.fixture(scope="module")
def partial(tmp_path_factory, data):
    """A hybrid whose second part knows chlorine alone."""
    return trained(tmp_path_factory.mktemp("partial"), data, ("Cl",))


def part(path, number):
    return path.with_name(f"{path.name}.{number}")


def copied(path, folder, *changes):
    """Copy both files, the second with changes; return the name that they share."""
    text = part(path, 2).read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    copy = folder / path.name
    part(copy, 1).write_text(part(path, 1).read_text())
    part(copy, 2).write_text(text)
    return copy


def by_pypolymlp(path, cells, lacking):
    """Return energies with those of the atoms, once, and forces by pypolymlp alone.

    Of its two ways, `load_mlp` takes elements in another order for those of the first
    file, and `Properties` alone does not know that a part lacks elements.
    """
    from pypolymlp.calculator.properties import Properties
    from pypolymlp.mlp_dev.pypolymlp import Pypolymlp
    from pypolymlp.utils.phonopy_utils import phonopy_cell_to_structure

    files = [io.StringIO(part(path, n).read_text()) for n in (1, 2)]
    structures = [phonopy_cell_to_structure(cell) for cell in cells]
    if lacking:
        mlp = Pypolymlp().load_mlp(files)
        properties = Properties(params=mlp.parameters, coeffs=mlp.coeffs)
    else:
        properties = Properties(pot=files)
    energies, forces, _ = properties.eval_multiple(structures)
    isolated = [sum(ATOMS[symbol] for symbol in cell.symbols) for cell in cells]
    return np.array(energies) + isolated, np.array(forces).transpose(0, 2, 1)


def assert_same(potential, path, cells, lacking=False):
    found = potential.evaluate(cells)
    energies, forces = by_pypolymlp(path, cells, lacking)
    # Both sum some hundred products in double precision.
    np.testing.assert_allclose(found.energies, energies, rtol=1e-11)
    largest = np.abs(forces).max()
    np.testing.assert_allclose(found.forces, forces, rtol=0, atol=1e-11 * largest)


@pytest.mark.parametrize("engine", ["native", "pypolymlp"])
def test_a_hybrid_is_what_pypolymlp_makes_of_it(path, data, engine):
    potential = load_potential(path, options=f"engine = {engine}")
    assert potential.engine.startswith(engine)
    assert potential.elements == ("Na", "Cl")
    assert_same(potential, path, data.supercells()[:4])


def test_our_engine_reads_a_hybrid_unless_asked_otherwise(path):
    assert load_potential(path).engine == "native"


def test_a_hybrid_describes_what_it_was_trained_on(path, data):
    found = load_potential(path).evaluate(data.supercells())
    # Energies of the atoms are there once: -600 eV for the cell, not -1200.
    expected = data.energies + len(data.supercell) / 2 * sum(ATOMS.values())
    np.testing.assert_allclose(found.energies, expected, atol=0.01)
    error = found.forces - data.forces
    assert np.sqrt((error**2).mean()) < 0.05 * np.sqrt((data.forces**2).mean())


def test_stresses_are_the_derivative_of_the_sum(path, data):
    potential = load_potential(path)
    cell = data.supercells()[0]
    stretched = []
    for strain in (1e-4, -1e-4):
        other = cell.copy()
        other.cell = cell.cell @ np.diag([1 + strain, 1, 1])
        stretched.append(other)
    above, below = potential.evaluate(stretched).energies
    stress = potential.evaluate([cell]).stresses[0, 0, 0]
    # Central differences: second order in the strain.
    assert stress == pytest.approx((above - below) / 2e-4 / cell.volume, rel=1e-4)


@pytest.mark.parametrize("engine", ["native", "pypolymlp"])
def test_parts_may_list_elements_in_another_order(path, data, tmp_path, engine):
    cells = data.supercells()[:2]
    swapped = copied(path, tmp_path, ("[Na, Cl]", "[Cl, Na]"))
    potential = load_potential(swapped, options=f"engine = {engine}")
    assert_same(potential, swapped, cells)
    difference = (
        potential.evaluate(cells).forces - load_potential(path).evaluate(cells).forces
    )
    assert np.abs(difference).max() > 1e-3


@pytest.mark.parametrize("engine", ["native", "pypolymlp"])
def test_a_part_may_lack_an_element(partial, data, engine):
    potential = load_potential(partial, options=f"engine = {engine}")
    assert potential.elements == ("Na", "Cl")
    assert_same(potential, partial, data.supercells()[:4], lacking=True)


def test_a_part_that_says_so_goes_to_the_library(partial, data, tmp_path):
    """pypolymlp writes ``type_full: 0`` or 1 for the same, by its version."""
    changes = (("type_full:    1", "type_full:    0"), ("[0]\n\nn_c", "[1]\n\nn_c"))
    copy = copied(partial, tmp_path, *changes)
    potential = load_potential(copy)
    assert potential.engine.startswith("pypolymlp ")
    assert_same(potential, partial, data.supercells()[:4], lacking=True)
    with pytest.raises(NotCovered, match=r"polymlp\.yaml\.2: type_full = '0'"):
        load_potential(copy, options="engine = native")


def test_a_cell_may_lack_what_a_part_knows(partial, data):
    """Of two cells, one has no chlorine: there the second part is nothing."""
    cell = data.supercells()[0]
    symbols = ["Na"] * len(cell)
    sodium = PhonopyAtoms(cell=cell.cell, positions=cell.positions, symbols=symbols)
    found = load_potential(partial).evaluate([sodium, cell])
    alone = load_potential(part(partial, 1)).evaluate([sodium])
    np.testing.assert_array_equal(found.forces[0], alone.forces[0])
    np.testing.assert_allclose(found.energies[0], alone.energies[0], rtol=1e-14)


def test_a_crystal_of_other_elements_is_refused(path, data):
    cell = data.supercell
    symbols = ["K", *cell.symbols[1:]]
    other = PhonopyAtoms(cell=cell.cell, positions=cell.positions, symbols=symbols)
    with pytest.raises(PotentialError, match="made for Na, Cl; found K"):
        load_potential(path).evaluate([other])


def test_a_hybrid_is_written_as_it_is_read(path, partial, data, tmp_path):
    cells = data.supercells()[:2]
    for number, base in enumerate((path, partial)):
        copy = tmp_path / f"{number}.yaml"
        potential = load_potential(base)
        potential.save(copy)
        assert part(copy, 2).is_file() and not copy.exists()
        found, expected = (p.evaluate(cells) for p in (load_potential(copy), potential))
        # pypolymlp writes 16 digits.
        np.testing.assert_allclose(found.forces, expected.forces, atol=1e-10)
        np.testing.assert_allclose(found.energies, expected.energies, rtol=1e-12)


def test_a_part_alone_is_that_part(path, data):
    cells = data.supercells()[:2]
    one, other = (load_potential(part(path, n)).evaluate(cells).forces for n in (1, 2))
    both = load_potential(path).evaluate(cells).forces
    np.testing.assert_allclose(one + other, both, atol=1e-12)


def test_a_gap_is_refused_by_the_name_of_the_file(path, tmp_path):
    copy = copied(path, tmp_path)
    part(copy, 2).rename(part(copy, 3))
    with pytest.raises(PotentialError, match=r"polymlp\.yaml\.2 is missing"):
        load_potential(copy)


def test_potentials_of_different_crystals_are_not_one_hybrid(path, tmp_path):
    copy = copied(path, tmp_path, ("[Na, Cl]", "[Na, K]"))
    with pytest.raises(PotentialError, match="elements = Na, K; expected Na, Cl, as"):
        load_potential(copy)


@pytest.mark.slow
def test_files_of_pypolymlp_have_derivatives(path):
    """The amplitude is 1e-3 angstrom: fourth and fifth orders are left, about 1e-5."""
    from phono3py import Phono3py

    import phono3py_mlp_plugin as mlp

    potential = load_potential(path)
    unitcell, _ = nacl_dataset(1, repeats=1)
    ph3 = Phono3py(
        unitcell, supercell_matrix=(2, 1, 1), primitive_matrix="F", log_level=0
    )
    found = mlp.solve_force_constants(ph3, "exact", potential=potential)
    ph3.generate_displacements(
        distance=1e-3, number_of_snapshots=30, is_plusminus=True, random_seed=1
    )
    mlp.evaluate(ph3, potential)
    expected = mlp.solve_force_constants(ph3, "symfc")
    for order in (2, 3):
        scale = np.abs(expected[order]).max()
        np.testing.assert_allclose(found[order], expected[order], atol=1e-4 * scale)
