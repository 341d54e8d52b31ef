"""A POSCAR is read as VASP reads it, or refused; phono3py takes it for hydrogen."""

import numpy as np
import pytest

from phono3py_mlp_plugin.errors import DatasetError
from phono3py_mlp_plugin.files import read_poscar

LATTICE = "{a} 0 0\n0 {a} 0\n0 0 {b}\n"
SITES = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
EDGES = np.array([4.0, 4.0, 4.8])


def poscar(
    title="a crystal",
    scale="1.0",
    edges=(4.0, 4.8),
    above="Al Cu\n1 3\nDirect",
    rows="",
):
    a, b = edges
    lattice = LATTICE.format(a=a, b=b)
    return f"{title}\n{scale}\n{lattice}{above}\n{rows or rows_of(SITES)}"


def rows_of(sites, end=""):
    return "".join(f"{x} {y} {z}{end}\n" for x, y, z in sites)


GOOD = {
    "direct": poscar(),
    "scaled": poscar(scale="2.0", edges=(2.0, 2.4)),
    "scaled by the volume": poscar(scale="-76.8", edges=(1.0, 1.2)),
    "three scales": poscar(scale="4 4 4.8", edges=(1, 1)),
    "comment behind the scale": poscar(scale="1.0 ! angstrom"),
    "Cartesian": poscar(above="Al Cu\n1 3\nCartesian", rows=rows_of(SITES * EDGES)),
    "Cartesian and scaled": poscar(
        scale="4.0",
        edges=(1, 1.2),
        above="Al Cu\n1 3\nk",
        rows=rows_of(SITES * [1, 1, 1.2]),
    ),
    "selective dynamics": poscar(
        above="Al Cu\n1 3\nSelective dynamics\nDirect", rows=rows_of(SITES, " T F T")
    ),
    "names of potentials": poscar(above="Al_sv_GW Cu/6a2f546d\n1 3\nDirect"),
    "elements in the title": poscar(title="Al Cu", above="1 3\nDirect"),
    "comments": poscar(above="Al Cu ! types\n1 3 # numbers\nDirect")
    + "\n0 0 0\n0 0 0\n0 0 0\n0 0 0\n",
    "Windows": poscar().replace("\n", "\r\n"),
    "byte order mark": "\ufeff" + poscar(),
}


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_every_way_of_writing_a_crystal_is_the_same_crystal(tmp_path, text):
    path = tmp_path / "POSCAR"
    path.write_text(text, encoding="utf-8", newline="")
    found = read_poscar(path)
    np.testing.assert_allclose(found.lattice, np.diag(EDGES), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(found.positions, SITES * EDGES, rtol=1e-12, atol=1e-15)
    assert found.symbols == ["Al", "Cu", "Cu", "Cu"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (poscar(above="1 3\nDirect"), "elements = none; expected 2, one for each"),
        (poscar(title="Al", above="1 3\nDirect"), "elements = none; expected 2"),
        (poscar(above="Al\n1 3\nDirect"), "elements = Al; expected 2"),
        (poscar(scale="0"), "scale = 0; expected a positive factor"),
        (poscar(scale="1,0"), "not a complete POSCAR"),
        (poscar(rows=rows_of(SITES[:3])), "atom 4 of 4 has no three coordinates"),
        ("", "it ends early"),
        ("a\n1.0\n1 0 0\n", "not a complete POSCAR"),
        ("\n".join(["not", "a", "crystal"] * 5), "not a complete POSCAR"),
    ],
)
def test_what_is_missing_is_told(tmp_path, text, message):
    path = tmp_path / "POSCAR"
    path.write_text(text)
    with pytest.raises(DatasetError, match=message):
        read_poscar(path)
