"""Species of atoms: elements, which may be distinguished by a number (Mn, Mn1).

phonopy supports such numbers in crystals, but builds displaced supercells from atomic
numbers only.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from phono3py_mlp_plugin.contracts import Potential
from phono3py_mlp_plugin.errors import PotentialError

if TYPE_CHECKING:
    from phonopy.structure.atoms import PhonopyAtoms


_NOBLE_GASES = (0, 2, 10, 18, 36, 54, 86, 118)


def chemical_formula(symbols: Sequence[str]) -> str:
    """Return the chemical formula, with electropositive elements first.

    Examples
    --------
    >>> chemical_formula(["O", "O", "O", "Al", "Al"]), chemical_formula(["Cu"] * 4)
    ('Al2O3', 'Cu')
    >>> chemical_formula(["N", "Al"]), chemical_formula(["Te", "Zn"])
    ('AlN', 'ZnTe')
    """
    elements = [element_of(symbol) for symbol in symbols]
    counts = {one: elements.count(one) for one in sorted({*elements}, key=_rank)}
    divisor = math.gcd(*counts.values())
    return "".join(
        element + (str(n // divisor) if n > divisor else "")
        for element, n in counts.items()
    )


def _rank(element: str) -> tuple[float, int]:
    """Return the place of an element in formulas: by group, heavy elements first.

    This is the sequence of IUPAC's nomenclature of inorganic chemistry (2005), table
    VI. Hydrogen is between nitrogen and oxygen.
    """
    from phonopy.structure.atomic_data import get_atomic_data

    number = int(get_atomic_data().symbol_map[element])
    if number == 1:
        return 15.5, 0
    start, end = next(
        (a, b) for a, b in itertools.pairwise(_NOBLE_GASES) if number <= b
    )
    from_left, from_right = number - start, end - number
    # Lanthanoids and actinoids are in group 3.
    group = from_left if from_left <= 2 else max(3, 18 - from_right)
    return group, -number


def element_of(symbol: str) -> str:
    """Return the element of a symbol, without the number of the species.

    Examples
    --------
    >>> element_of("Mn1")
    'Mn'
    """
    return symbol.rstrip("0123456789")


def with_species(
    cells: Sequence[PhonopyAtoms], supercell: PhonopyAtoms | None
) -> list[PhonopyAtoms]:
    """Return displaced supercells with the species and moments of the supercell."""
    if supercell is None:
        return list(cells)
    from phonopy.structure.atoms import PhonopyAtoms

    return [
        cell
        if cell.symbols == supercell.symbols
        else PhonopyAtoms(
            cell=cell.cell,
            positions=cell.positions,
            masses=supercell.masses,
            magnetic_moments=supercell.magnetic_moments,
            species_table=supercell.species_table,
            species_ids=supercell.species_ids,
        )
        for cell in cells
    ]


def with_known_symbols(
    name: str, potential: Potential, cells: Sequence[PhonopyAtoms]
) -> list[PhonopyAtoms]:
    """Return supercells with the symbols that a potential was made for.

    If the potential was made for plain elements, the numbers of species are removed.

    Raises
    ------
    PotentialError
        If the potential was made for other elements, or distinguishes species that the
        crystal does not distinguish.
    """
    known = known_symbols(name, potential, cells[0].symbols)
    if all(symbol == replacement for symbol, replacement in known.items()):
        return list(cells)
    from phonopy.structure.atoms import PhonopyAtoms

    symbols = [known[symbol] for symbol in cells[0].symbols]
    return [
        PhonopyAtoms(
            symbols=symbols,
            cell=cell.cell,
            positions=cell.positions,
            masses=cell.masses,
            magnetic_moments=cell.magnetic_moments,
        )
        for cell in cells
    ]


def known_symbols(
    name: str, potential: Potential, symbols: Iterable[str]
) -> dict[str, str]:
    """Return the symbol that the potential uses for each symbol of a crystal.

    Parameters
    ----------
    name : str
        Name of the force calculator, used in messages.
    potential : Potential
    symbols : iterable of str
        Symbols of all atoms.

    Raises
    ------
    PotentialError
        See `with_known_symbols`.
    """
    distinct = list(dict.fromkeys(symbols))
    elements = potential.elements
    if not elements:
        return {symbol: symbol for symbol in distinct}
    known = {s: s if s in elements else element_of(s) for s in distinct}
    unknown = sorted(s for s in distinct if known[s] not in elements)
    if unknown:
        raise PotentialError(
            f"{name}: the potential was made for {', '.join(elements)}; the "
            f"crystal contains {', '.join(unknown)}. Train one for this crystal."
        )
    present = {element_of(symbol) for symbol in distinct}
    missing = [
        e for e in elements if element_of(e) in present and e not in known.values()
    ]
    if missing:
        raise PotentialError(
            f"{name}: the potential tells {', '.join(elements)} apart; the crystal has "
            f"only {', '.join(sorted(known.values()))}, not {', '.join(missing)}. "
            "Use a crystal whose atoms have the numbers of the training, with "
            "phono3py_mlp_plugin.evaluate(ph3, potential) in Python."
        )
    return known
