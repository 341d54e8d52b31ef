"""Species of atoms: elements, and elements told apart by a number (Mn, Mn1).

The host knows such numbers from calculators that need them, and builds displaced
supercells from atomic numbers alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from phono3py_mlp_plugin.contracts import Potential
from phono3py_mlp_plugin.errors import PotentialError

if TYPE_CHECKING:
    from phonopy.structure.atoms import PhonopyAtoms


def element_of(symbol: str) -> str:
    """Return the element of a symbol that may have a number.

    Examples
    --------
    >>> element_of("Mn1")
    'Mn'
    """
    return symbol.rstrip("0123456789")


def with_species(
    cells: Sequence[PhonopyAtoms], supercell: PhonopyAtoms | None
) -> list[PhonopyAtoms]:
    """Return displaced supercells with species and moments of the undisplaced one."""
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


def as_known(
    name: str, potential: Potential, cells: Sequence[PhonopyAtoms]
) -> list[PhonopyAtoms]:
    """Return supercells with the symbols that a potential was made for.

    A potential of plain elements is asked for these.

    Raises
    ------
    PotentialError
        It was made for other elements, or tells atoms apart that the crystal does not.
    """
    known = known_symbols(name, potential, cells[0].symbols)
    if all(symbol == asked for symbol, asked in known.items()):
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
    """Return what the potential calls each symbol of a crystal.

    Parameters
    ----------
    name : str
        The force calculator's, for messages.
    potential : Potential
    symbols : iterable of str
        Of all atoms.

    Raises
    ------
    PotentialError
        As `as_known`.
    """
    found = list(dict.fromkeys(symbols))
    elements = potential.elements
    if not elements:
        return {symbol: symbol for symbol in found}
    asked = {s: s if s in elements else element_of(s) for s in found}
    unknown = sorted(s for s in found if asked[s] not in elements)
    if unknown:
        raise PotentialError(
            f"{name}: the potential was made for {', '.join(elements)}; the "
            f"crystal contains {', '.join(unknown)}. Train one for this crystal."
        )
    here = {element_of(symbol) for symbol in found}
    missing = [e for e in elements if element_of(e) in here and e not in asked.values()]
    if missing:
        raise PotentialError(
            f"{name}: the potential tells {', '.join(elements)} apart; the crystal has "
            f"{', '.join(sorted(asked.values()))} alone, and not {', '.join(missing)}. "
            "Give the crystal whose atoms have the numbers of the training, by "
            "phono3py_mlp_plugin.evaluate(ph3, potential) in Python."
        )
    return asked
