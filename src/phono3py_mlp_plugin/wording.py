"""Times, numbers of things and values, as text of messages."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Return a time as text.

    Examples
    --------
    >>> [duration(t) for t in (0.2, 45.0, 600.0, 9000.0, 400000.0)]
    ['0.2 s', '45 s', '10 min', '2.5 h', '4.6 days']
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 600:
        return f"{seconds / 60:.1f} min"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    if seconds < 200_000:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} days"


def counted(number: int, noun: str) -> str:
    """Return a number of things as text.

    Parameters
    ----------
    number : int
    noun : str
        Its plural has an s.

    Examples
    --------
    >>> counted(1, "supercell"), counted(12, "supercell")
    ('1 supercell', '12 supercells')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def shown(value: object) -> str:
    """Return a value as text of one line, with at most 60 characters."""
    return " ".join(f"{value!r:.60}".split())


def decimals(value: float, digits: int) -> str:
    """Return a number with fixed decimals, or its power of ten if none would be left.

    Examples
    --------
    >>> decimals(0.02, 3), decimals(0.00004, 3), decimals(0.0, 3)
    ('0.020', '4.0e-05', '0.000')
    """
    text = f"{value:.{digits}f}"
    return f"{value:.1e}" if value != 0 and float(text) == 0 else text
